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

// AgentType is the type of actors that are not people.
const AgentType = "agent"

// IsPerson reports whether neither a nor an actor behind it is an agent, as far as that
// can be told: it is false if a part of the claim could not be read.
func (a *Actor) IsPerson() bool {
	for ; a != nil; a = a.Behind {
		if !a.Known || a.Type == AgentType {
			return false
		}
	}
	return true
}

// readActor reads an act claim. It returns the claim as written and as it is read, or ""
// and nil if it is not an object.
func readActor(value string) (string, *Actor) {
	var buf [4]strictjson.Member
	members, err := strictjson.Object(value, buf[:0])
	if err != nil {
		return "", nil
	}
	a := &Actor{Known: true}
	for _, m := range members {
		switch m.Name {
		case "sub":
			a.ID, _ = readID(m.Value)
		case "type":
			a.Type, a.Known = strictjson.String(m.Value)
		case "act":
			_, a.Behind = readActor(m.Value)
			a.Known = a.Known && a.Behind != nil
		}
	}
	return value, a
}
