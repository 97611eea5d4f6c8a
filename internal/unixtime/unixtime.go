// Package unixtime reads the times that Clerk's API and webhooks send.
package unixtime

import "time"

// Read returns the time that is t milliseconds after 1970, or t seconds, for Clerk
// sends both. In milliseconds, what is below 10^11 would be in 1973 or before; in
// seconds, what is above would be in the year 5138 or after.
func Read(t int64) time.Time {
	if t < 1e11 {
		return time.Unix(t, 0)
	}
	return time.UnixMilli(t)
}
