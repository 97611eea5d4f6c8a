package clerkauth

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/introspect"
	"github.com/clerkauth/clerkauth/internal/strictjson"
	"github.com/clerkauth/clerkauth/internal/unixtime"
)

// question is how the Backend API is asked about credentials of one kind, and what
// its answer has to be.
type question struct {
	path   string
	object string
	params func(credential string) *verifyParams
}

var questions = map[kind]question{
	kindAPIKey: {"/api_keys/verify", "api_key", func(c string) *verifyParams { return &verifyParams{Secret: c} }},
	kindM2M:    {"/m2m_tokens/verify", "machine_to_machine_token", func(c string) *verifyParams { return &verifyParams{Token: c} }},
	kindOAuth: {
		"/oauth_applications/access_tokens/verify", "clerk_idp_oauth_access_token",
		func(c string) *verifyParams { return &verifyParams{AccessToken: c} },
	},
}

// verifyParams is the body of a question.
type verifyParams struct {
	clerk.APIParams
	Secret      string `json:"secret,omitempty"`
	Token       string `json:"token,omitempty"`
	AccessToken string `json:"access_token,omitempty"`
}

// said is what Clerk says about a credential.
type said struct {
	object           string
	revoked, expired tristate
	bound            bool // to a key of which the caller would have to prove possession
	machine          machine
}

// tristate is a boolean that may be missing.
type tristate int8

const (
	unsaid tristate = iota
	no
	yes
)

// answerMembers read the members of an answer that have a meaning. Each reports
// whether the value is of its type; null is none, except where it says otherwise.
var answerMembers = map[string]func(s *said, value string) bool{
	"object":     func(s *said, v string) bool { return readText(v, &s.object) },
	"id":         func(s *said, v string) bool { return readText(v, &s.machine.ID) },
	"subject":    func(s *said, v string) bool { return readText(v, &s.machine.Subject) },
	"name":       func(s *said, v string) bool { return readText(v, &s.machine.Name) },
	"client_id":  func(s *said, v string) bool { return readText(v, &s.machine.ClientID) },
	"revoked":    func(s *said, v string) bool { return readBool(v, &s.revoked) },
	"expired":    func(s *said, v string) bool { return readBool(v, &s.expired) },
	"expiration": func(s *said, v string) bool { return readMoment(v, &s.machine.ExpiresAt) },
	"created_at": func(s *said, v string) bool { return readMoment(v, &s.machine.IssuedAt) },
	"scopes":     readScopes,
	"claims":     readCustomClaims,
	"aud":        readAudience,
	"cnf":        func(s *said, _ string) bool { s.bound = true; return true }, // null as well

	// These are Clerk's, too; an answer in which they are odd is not.
	"type":              func(_ *said, v string) bool { return readText(v, new(string)) },
	"description":       func(_ *said, v string) bool { return readText(v, new(string)) },
	"revocation_reason": func(_ *said, v string) bool { return readText(v, new(string)) },
	"created_by":        func(_ *said, v string) bool { return readText(v, new(string)) },
	"updated_at":        func(_ *said, v string) bool { return readMoment(v, new(time.Time)) },
	"last_used_at":      func(_ *said, v string) bool { return readMoment(v, new(time.Time)) },
}

// readAnswer reads an answer about a credential of kind k. It reports whether the
// answer is one: an object in which every member that has a meaning is of its type,
// none stands twice, in whatever case, and which says whether the credential is
// revoked and whether it has expired.
func readAnswer(k kind, body string) (said, bool) {
	s := said{machine: machine{Type: k.name()}}
	members, err := strictjson.Object(body, nil)
	if err != nil {
		return s, false
	}
	for _, m := range members {
		if read := answerMembers[m.Name]; read != nil {
			if !read(&s, m.Value) {
				return s, false
			}
			continue
		}
		for name := range answerMembers {
			if strings.EqualFold(m.Name, name) {
				return s, false // who takes one for the other sees another credential
			}
		}
	}
	if s.machine.IssuedAt.Unix() <= 0 {
		s.machine.IssuedAt = time.Time{} // which is what nobody said
	}
	if k != kindAPIKey {
		s.machine.Name = ""
	}
	if k != kindOAuth {
		s.machine.ClientID = ""
	} else {
		s.machine.Claims = nil
	}
	return s, s.revoked != unsaid && s.expired != unsaid
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

// readMoment reads a time in milliseconds; those of OAuth tokens are in seconds. Of
// 1970 and before is one that is never the zero time, which would be none.
func readMoment(value string, into *time.Time) bool {
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

// readScopes reads a list of strings. An empty one, and null, is no scope.
func readScopes(s *said, value string) bool {
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
			s.machine.Scopes = append(s.machine.Scopes, scope)
		}
	}
	return err == nil
}

// readCustomClaims keeps the claims that a credential was created with. In the JWT
// that it might be as well, they would stand beside Clerk's, and so would cnf.
func readCustomClaims(s *said, value string) bool {
	s.machine.Claims = json.RawMessage(value)
	members, _ := strictjson.Object(value, nil)
	s.bound = s.bound || slices.ContainsFunc(members, func(m strictjson.Member) bool { return m.Name == "cnf" })
	return true
}

// readAudience reads a string or a list of strings; anything else is as good as
// none.
func readAudience(s *said, value string) bool {
	if one, ok := strictjson.String(value); ok && one != "" {
		s.machine.Audience = []string{one}
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
		s.machine.Audience = list
	}
	return true
}

// judge refuses what Clerk says is no longer good, whatever the status with which
// it says so, what is not about such a credential, and what takes a proof that is
// not asked for (RFC 8705 section 3, RFC 9449 section 6).
func (s said) judge(object string, now time.Time) (*machine, error) {
	var reason Reason
	switch {
	case s.object != object, s.revoked != no, !claims.UsableID(s.machine.ID), !claims.UsableID(s.machine.Subject):
		reason = ErrTokenInvalid
	case s.expired != no, !s.machine.ExpiresAt.IsZero() && !s.machine.ExpiresAt.After(now):
		reason = ErrTokenExpired
	case s.bound:
		reason = ErrTokenClaims
	default:
		return &s.machine, nil
	}
	return nil, &introspect.Refusal{Reason: newError(reason, nil)}
}

// saysNotFound reports whether body is Clerk's error that what was asked for is not
// there. A 404 of another server, or about another thing, is not.
func saysNotFound(body string) bool {
	members, err := strictjson.Object(body, nil)
	if err != nil {
		return false
	}
	found := false
	for _, m := range members {
		if m.Name != "errors" {
			continue
		}
		list, err := strictjson.Array(m.Value)
		if err != nil {
			return false
		}
		for _, element := range list {
			code, ok := errorCode(element)
			if !ok {
				return false
			}
			found = found || strings.HasSuffix(code, "not_found")
		}
	}
	return found
}

func errorCode(element string) (code string, ok bool) {
	members, err := strictjson.Object(element, nil)
	if err != nil {
		return "", false
	}
	for _, m := range members {
		if m.Name == "code" {
			return strictjson.String(m.Value)
		}
	}
	return "", false
}
