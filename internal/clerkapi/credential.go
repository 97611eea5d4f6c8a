package clerkapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/strictjson"
	"github.com/clerkauth/clerkauth/internal/unixtime"
)

// Credential is what Clerk says about an opaque credential. Nothing in it has been
// checked but its form: the response says whether the credential was revoked and
// whether it expired, each member is of its type, and no name occurs twice, in
// whatever case.
type Credential struct {
	// Mismatched reports whether the response is an object of another type than the
	// kind of the credential has.
	Mismatched       bool
	Revoked, Expired bool
	// Bound reports whether the credential is bound to a key of which its bearer would
	// have to prove possession (RFC 8705 section 3, RFC 9449 section 6).
	Bound bool

	ID, Subject string
	Name        string          // of API keys alone
	ClientID    string          // of OAuth tokens alone
	Scopes      []string        // without empty ones
	Claims      json.RawMessage // custom claims; of all kinds but OAuth tokens
	Audience    []string        // nil if it has a form that cannot be read
	IssuedAt    time.Time       // zero if unknown
	ExpiresAt   time.Time       // zero if never
}

// response is a Credential while it is read.
type response struct {
	Credential
	object           string
	revoked, expired tristate
}

// tristate is a boolean that may be missing.
type tristate int8

const (
	missing tristate = iota
	no
	yes
)

// readers read the members of a response that have a meaning. Each reports whether the
// value is of its type; null stands for an absent member, except where it says
// otherwise.
var readers = map[string]func(r *response, value string) bool{
	"object":     func(r *response, v string) bool { return readText(v, &r.object) },
	"id":         func(r *response, v string) bool { return readText(v, &r.ID) },
	"subject":    func(r *response, v string) bool { return readText(v, &r.Subject) },
	"name":       func(r *response, v string) bool { return readText(v, &r.Name) },
	"client_id":  func(r *response, v string) bool { return readText(v, &r.ClientID) },
	"revoked":    func(r *response, v string) bool { return readBool(v, &r.revoked) },
	"expired":    func(r *response, v string) bool { return readBool(v, &r.expired) },
	"expiration": func(r *response, v string) bool { return readTime(v, &r.ExpiresAt) },
	"created_at": func(r *response, v string) bool { return readTime(v, &r.IssuedAt) },
	"scopes":     readScopes,
	"claims":     readClaims,
	"aud":        readAudience,
	"cnf":        func(r *response, _ string) bool { r.Bound = true; return true }, // null as well

	// These are Clerk's, too: a response in which they are malformed is malformed.
	"type":              func(_ *response, v string) bool { return readText(v, new(string)) },
	"description":       func(_ *response, v string) bool { return readText(v, new(string)) },
	"revocation_reason": func(_ *response, v string) bool { return readText(v, new(string)) },
	"created_by":        func(_ *response, v string) bool { return readText(v, new(string)) },
	"updated_at":        func(_ *response, v string) bool { return readTime(v, new(time.Time)) },
	"last_used_at":      func(_ *response, v string) bool { return readTime(v, new(time.Time)) },
}

// readCredential reads a response about a credential of kind k, and reports whether it
// has the form that [Credential] describes.
func readCredential(k Kind, body string) (*Credential, bool) {
	list, err := strictjson.Object(body, nil)
	if err != nil {
		return nil, false
	}
	r := &response{}
	for _, m := range list {
		if read := readers[m.Name]; read != nil {
			if !read(r, m.Value) {
				return nil, false
			}
			continue
		}
		for name := range readers {
			if strings.EqualFold(m.Name, name) {
				return nil, false // programs that ignore case would read another credential
			}
		}
	}
	if r.revoked == missing || r.expired == missing {
		return nil, false
	}
	r.Revoked, r.Expired = r.revoked == yes, r.expired == yes
	r.Mismatched = r.object != endpoints[k].object
	if r.IssuedAt.Unix() <= 0 {
		r.IssuedAt = time.Time{} // an absent time, written as 0
	}
	if k != APIKey {
		r.Name = ""
	}
	if k == OAuthToken {
		r.Claims = nil
	} else {
		r.ClientID = ""
	}
	return &r.Credential, true
}

func readText(value string, into *string) (ok bool) {
	if strictjson.Null(value) {
		return true
	}
	*into, ok = strictjson.String(value)
	return ok
}

func readBool(value string, into *tristate) bool {
	switch value {
	case "true":
		*into = yes
	case "false":
		*into = no
	case "null":
	default:
		return false
	}
	return true
}

// readTime reads a time in milliseconds, or in seconds as those of OAuth tokens are.
// One before 1970 becomes the start of 1970, never the zero time, which would be none.
func readTime(value string, into *time.Time) bool {
	if strictjson.Null(value) {
		return true
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return false
	}
	*into = unixtime.Read(max(n, 0))
	return true
}

// readScopes reads a list of strings. Empty strings and null are no scopes.
func readScopes(r *response, value string) bool {
	if strictjson.Null(value) {
		return true
	}
	list, err := strictjson.Array(value)
	for _, element := range list {
		scope := ""
		if !readText(element, &scope) {
			return false
		}
		if scope != "" {
			r.Scopes = append(r.Scopes, scope)
		}
	}
	return err == nil
}

// readClaims keeps the custom claims that a credential was created with. In a JWT of
// the same kind they stand beside Clerk's own, and so would cnf.
func readClaims(r *response, value string) bool {
	r.Claims = json.RawMessage(value)
	list, _ := strictjson.Object(value, nil)
	r.Bound = r.Bound || slices.ContainsFunc(list, func(m strictjson.Member) bool { return m.Name == "cnf" })
	return true
}

// readAudience reads a string or a list of strings. A value of another form is no
// audience.
func readAudience(r *response, value string) bool {
	if one, ok := strictjson.String(value); ok && one != "" {
		r.Audience = []string{one}
		return true
	}
	elements, err := strictjson.Array(value)
	list := make([]string, 0, len(elements))
	for _, element := range elements {
		if one, ok := strictjson.String(element); ok && one != "" {
			list = append(list, one)
		}
	}
	if err == nil && len(list) == len(elements) {
		r.Audience = list
	}
	return true
}

// maxSecret is the length of the longest opaque credential, without its prefix.
const maxSecret = 512

// MayBeCredential reports whether credential, which begins with the prefix of a kind, has the
// form of an opaque one. Credentials of another form are never sent to Clerk.
func MayBeCredential(credential string) bool {
	_, secret, _ := strings.Cut(credential, "_")
	if secret == "" || len(secret) > maxSecret {
		return false
	}
	for i := range len(secret) {
		if !credentialCharacters[secret[i]] {
			return false
		}
	}
	return true
}

var credentialCharacters = func() (set [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") {
		set[c] = true
	}
	return set
}()
