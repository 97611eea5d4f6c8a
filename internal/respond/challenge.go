package respond

import "strings"

// Challenge is a WWW-Authenticate header for bearer tokens (RFC 6750 section 3). The zero
// value is for a caller without a credential. Its values hold no quotation marks.
type Challenge struct {
	Error       string   // what is wrong with the credential: invalid_token or insufficient_scope
	Description string   // and in words
	Scopes      []string // to request
	Metadata    string   // the URL of the resource's metadata (RFC 9728 section 5.1)
}

// String returns the value of the header.
func (c Challenge) String() string {
	var parameters []string
	for _, p := range []struct{ name, value string }{
		{"error", c.Error}, {"error_description", c.Description}, {"scope", strings.Join(c.Scopes, " ")}, {"resource_metadata", c.Metadata},
	} {
		if p.value != "" {
			parameters = append(parameters, p.name+`="`+p.value+`"`)
		}
	}
	if len(parameters) == 0 {
		return "Bearer"
	}
	return "Bearer " + strings.Join(parameters, ", ")
}
