package claims

import "github.com/clerkauth/clerkauth/internal/strictjson"

// Handshake holds the claims of a handshake token.
type Handshake struct {
	Registered

	// Directives are lines of Set-Cookie. There are none where the claim is absent or not
	// a list.
	Directives []string
	// Malformed is whether the list has an element that is not a string.
	Malformed bool
}

// ReadHandshake reads the claims of a handshake token.
func (p Payload) ReadHandshake() *Handshake {
	h := &Handshake{}
	for _, m := range p {
		if m.Name != "handshake" {
			h.read(m.Name, m.Value)
			continue
		}
		elements, err := strictjson.Array(m.Value)
		if err != nil {
			continue
		}
		var ok bool
		h.Directives, ok = readStrings(m.Value)
		h.Malformed = !ok && len(elements) > 0
	}
	return h
}
