package claims

import "github.com/clerkauth/clerkauth/internal/strictjson"

// Actor is a party that acts for the subject of a token (RFC 8693 section 4.1).
type Actor struct {
	ID   string // sub, "" if it is not a usable id
	Type string // "" if it is absent
	// Behind is the actor before this one, nil if there is none.
	Behind *Actor
	// Known says that the type, and all of those behind, could be read.
	Known bool
}

// Types of actors.
const (
	AgentType  = "agent"
	PersonType = "user" // as no type at all
)

// IsPerson reports whether a, and every actor behind it, is a person. It is false for
// types that are not known, and if a part of the claim could not be read.
func (a *Actor) IsPerson() bool {
	for ; a != nil; a = a.Behind {
		if !a.Known || a.Type != "" && a.Type != PersonType {
			return false
		}
	}
	return true
}

// readActor reads an act claim. It returns the claim as written, "" if it is not an
// object, and as it is read.
func readActor(value string) (string, *Actor) {
	var buf [4]strictjson.Member
	members, err := strictjson.Object(value, buf[:0])
	if err != nil {
		return "", &Actor{}
	}
	a, known := &Actor{}, true
	for _, m := range members {
		switch m.Name {
		case "sub":
			a.ID, _ = readID(m.Value)
		case "type":
			var ok bool
			a.Type, ok = strictjson.String(m.Value)
			known = known && ok
		case "act":
			_, a.Behind = readActor(m.Value)
		}
	}
	a.Known = known
	return value, a
}
