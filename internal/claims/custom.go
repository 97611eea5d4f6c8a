package claims

import "github.com/clerkauth/clerkauth/internal/strictjson"

// Text returns the string at a path of member names in a payload. ok is false if there
// is none, or something else.
func Text(payload string, path []string) (text string, ok bool) {
	value := payload
	for _, name := range path {
		var buf [24]strictjson.Member
		members, err := strictjson.Object(value, buf[:0])
		if err != nil {
			return "", false
		}
		value = Payload(members).get(name)
		if value == "" {
			return "", false
		}
	}
	return strictjson.String(value)
}
