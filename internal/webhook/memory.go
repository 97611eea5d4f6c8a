package webhook

import (
	"context"
	"sync"
	"time"
)

const (
	// rememberFor is how long a handled delivery is remembered. Svix's last attempt is
	// 27 h 35 min after its first.
	rememberFor = 36 * time.Hour
	// maxRemembered limits the memory of a Webhook without a store to some 20 MB.
	maxRemembered = 100_000
)

// Memory is a Deliveries for one process. Its claims need no lease, because they end with
// the process.
type Memory struct {
	now  func() time.Time
	max  int
	errs Errors

	mu     sync.Mutex
	claims map[string]bool // handled or not: in flight
	done   []doneDelivery  // handled deliveries, oldest first
}

type doneDelivery struct {
	id string
	at time.Time
}

// NewMemory returns a Memory of at most so many handled deliveries, which returns errs.
func NewMemory(now func() time.Time, most int, errs Errors) *Memory {
	return &Memory{now: now, max: most, errs: errs, claims: make(map[string]bool)}
}

// Once calls handle unless id was handled before or is being handled.
func (m *Memory) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	if err := m.claim(id); err != nil {
		return err
	}
	handled := false
	defer func() { m.settle(id, handled) }() // even if handle panics or exits
	if err := handle(ctx); err != nil {
		return err
	}
	handled = true
	return nil
}

func (m *Memory) claim(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	if handled, known := m.claims[id]; handled {
		return m.errs.Handled
	} else if known {
		return m.errs.InFlight
	}
	m.claims[id] = false
	return nil
}

func (m *Memory) settle(id string, handled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !handled {
		delete(m.claims, id)
		return
	}
	m.claims[id] = true
	m.done = append(m.done, doneDelivery{id, m.now()})
	m.forget()
}

// forget drops handled deliveries that are too old or too many. It keeps those in
// flight. m.mu is held.
func (m *Memory) forget() {
	for len(m.done) > 0 && (len(m.done) > m.max || m.now().Sub(m.done[0].at) > rememberFor) {
		delete(m.claims, m.done[0].id)
		m.done[0] = doneDelivery{}
		m.done = m.done[1:]
	}
}
