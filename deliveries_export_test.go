package clerkauth

import "time"

// NewMemoryDeliveries makes the store of a Webhook that is given none, which
// remembers at most max handled deliveries.
func NewMemoryDeliveries(now func() time.Time, most int) Deliveries {
	m := newMemoryDeliveries(now)
	m.max = most
	return m
}
