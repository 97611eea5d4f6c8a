package clerkauthtest

import (
	"slices"
	"time"

	"github.com/clerkauth/clerkauth"
)

// Machine is a machine of the instance: a program that calls others, or is called
// by them.
type Machine struct {
	ID        string // mch_…
	Name      string
	SecretKey string // ak_…, with which the machine requests tokens and verifies them

	srv       *Server
	createdAt time.Time
	ttl       time.Duration // of its tokens
	scoped    []string      // ids of the machines that it may call, or nil for every other
}

const m2mLifetime = time.Hour // Clerk's default

// CreateMachine creates a machine, which may call every other.
func (s *Server) CreateMachine(name string) *Machine { return s.createMachine(name, m2mLifetime, nil) }

func (s *Server) createMachine(name string, ttl time.Duration, scoped []string) *Machine {
	m := &Machine{
		ID:        "mch_" + randomText(),
		Name:      name,
		SecretKey: "ak_" + randomText() + randomText(),
		srv:       s,
		createdAt: s.Now(),
		ttl:       ttl,
		scoped:    scoped,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machines = append(s.machines, m)
	return m
}

// Token creates a token with which m calls these machines.
func (m *Machine) Token(to ...*Machine) *Credential {
	c := m.credential()
	for _, receiver := range to {
		c.scopes = append(c.scopes, receiver.ID)
	}
	return c.add()
}

// credential returns a token of m that is not for any machine yet.
func (m *Machine) credential() *Credential {
	return m.srv.newCredential(clerkauth.M2MToken, m.ID, nil, m.ttl)
}

// receivers returns the machines that m may call. The caller holds mu.
func (m *Machine) receivers() []*Machine {
	var list []*Machine
	for _, other := range m.srv.machines {
		if other != m && (m.scoped == nil || slices.Contains(m.scoped, other.ID)) {
			list = append(list, other)
		}
	}
	return list
}

// machine returns the machine for which is returns true, or nil.
func (s *Server) machine(is func(*Machine) bool) *Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.machines, is); i >= 0 {
		return s.machines[i]
	}
	return nil
}
