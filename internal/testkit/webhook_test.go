package testkit_test

import (
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/deliveriestest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func TestDeliveries(t *testing.T) {
	deliveriestest.Run(t, func(*testing.T) clerkauth.Deliveries { return testkit.NewDeliveries() }, deliveriestest.Lease(10*time.Millisecond))
}
