// Package unixtime converts the times in Clerk's API and webhooks.
package unixtime

import "time"

// Read returns the time that is t milliseconds or seconds after 1970: Clerk sends both.
// Below 10^11, t is in seconds: in milliseconds, it would be before 1974. From there on, in
// seconds, it would be after the year 5137.
func Read(t int64) time.Time {
	if t < 1e11 {
		return time.Unix(t, 0)
	}
	return time.UnixMilli(t)
}
