package claims

import (
	"strings"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Machine holds the claims of a token that is no session: of a
// machine-to-machine token, an OAuth access token (RFC 9068) or an API key.
type Machine struct {
	Registered

	ClientID string   // client_id
	Scopes   []string // nil where the token names none
	ScopesIs Presence
}

// ReadMachine reads the claims of such a token. Its scopes are those in the first
// of the named claims that is present: a list of strings, or one string in which
// spaces separate them (RFC 6749 section 3.3).
func (p Payload) ReadMachine(scopes ...string) *Machine {
	m := &Machine{}
	for _, member := range p {
		m.read(member.Name, member.Value)
	}
	m.ClientID, _ = readID(p.get("client_id"))
	for _, name := range scopes {
		if value := p.get(name); value != nil {
			m.Scopes, m.ScopesIs = readScopes(value)
			break
		}
	}
	return m
}

func readScopes(value []byte) ([]string, Presence) {
	if s, ok := strictjson.String(value); ok {
		return strings.FieldsFunc(s, func(c rune) bool { return c == ' ' }), Present
	}
	list, ok := readStrings(value)
	if !ok {
		return nil, Odd
	}
	return list, Present
}
