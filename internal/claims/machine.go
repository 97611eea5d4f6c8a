package claims

import (
	"fmt"
	"strings"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Machine holds the claims of a machine credential: a machine-to-machine token, an OAuth
// access token (RFC 9068) or an API key.
type Machine struct {
	Registered

	ClientID string   // client_id
	Acting   *Actor   // act, nil if it is absent
	Scopes   []string // nil if the token has none
	ScopesIs Presence
}

// ScopeClaim is a claim that contains scopes: a string in which spaces separate them (RFC
// 6749 section 3.3) or, unless it is TextOnly, a list of strings.
type ScopeClaim struct {
	Name     string
	TextOnly bool
}

// ReadMachine reads the claims of a machine credential. Its scopes are those in the first
// of the given claims that is present.
func (p Payload) ReadMachine(scopes ...ScopeClaim) *Machine {
	m := &Machine{}
	for _, member := range p {
		m.read(member.Name, member.Value)
	}
	m.ClientID, _ = readID(p.get("client_id"))
	if act := p.get("act"); act != "" {
		_, m.Acting = readActor(act)
	}
	for _, claim := range scopes {
		if value := p.get(claim.Name); value != "" {
			m.Scopes, m.ScopesIs = claim.read(value)
			break
		}
	}
	return m
}

func (c ScopeClaim) read(value string) ([]string, Presence) {
	if s, ok := strictjson.String(value); ok {
		return strings.FieldsFunc(s, func(c rune) bool { return c == ' ' }), Present
	}
	list, ok := readStrings(value)
	if !ok || c.TextOnly {
		return nil, Malformed
	}
	return list, Present
}

// CheckScope returns an error unless name is a scope-token (RFC 6749 section 3.3).
func CheckScope(name string) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return fmt.Errorf("scope %q is none: it must be visible ASCII without space, quote and backslash", name)
	}
	return nil
}
