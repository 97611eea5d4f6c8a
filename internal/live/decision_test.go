package live

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
)

// The outcomes of a decision, the least first. A pending session is signed in, and has a
// task left.
const (
	refuse = iota
	redirect
	pending
	in
)

// decision is what becomes of a request.
type decision struct {
	outcome   int
	reason    string
	location  string
	setCookie []string
	auth      map[string]any // of a caller who is known
	throws    bool           // instead of a reason
	before    int            // of the SDK's: the outcome, were it not for the redirect
}

func (d decision) String() string {
	text := [...]string{"refuse", "redirect", "pending", "in"}[d.outcome] + " " + d.reason
	if d.throws {
		text += " (throws)"
	}
	for _, part := range []any{d.location, d.setCookie, d.auth} {
		if !reflect.ValueOf(part).IsZero() {
			text += fmt.Sprintf("\n\t\t%.1500v", part)
		}
	}
	return text
}

// nonce returns a nonce for one side, "" where the request has none.
func (r *request) nonce(t *testing.T) string {
	if r.nonceOf == nil {
		return ""
	}
	r.on.kit.at(time.UnixMilli(r.now))
	return r.on.kit.handshake(t, r.on, r.nonceOf, "nonce")
}

// ours returns our decision, in its normal form.
func (r *request) ours(t *testing.T) decision {
	t.Helper()
	nonce := r.nonce(t)
	return r.decideOurs(nonce).normal(nonce)
}

// theirs returns the SDK's decision, in its normal form.
func (r *request) theirs(t *testing.T, s *sdk) decision {
	t.Helper()
	nonce := r.nonce(t)
	return r.decideTheirs(t, s, nonce).normal(nonce)
}

func (r *request) decideOurs(nonce string) decision {
	r.on.kit.at(time.UnixMilli(r.now))
	r.on.now.Store(r.now)
	s := r.on.auth.Authenticate(r.toHTTP(nonce))
	d := decision{location: s.Header().Get("Location"), setCookie: s.Header()["Set-Cookie"]}
	var err *clerkauth.Error
	if errors.As(s.Err(), &err) {
		d.reason = string(err.Reason)
	}
	if d.reason == string(clerkauth.ErrSessionPending) {
		d.outcome, d.reason = pending, ""
	}
	switch {
	case d.location != "":
		d.outcome = redirect
	case err == nil:
		d.outcome, d.auth = in, identity(s.Auth())
	}
	return d
}

func (r *request) decideTheirs(t *testing.T, s *sdk, nonce string) decision {
	t.Helper()
	r.on.kit.at(time.UnixMilli(r.now))
	a := s.ask(t, r.toSDK(nonce))
	d := decision{reason: a.Reason, setCookie: a.Headers["set-cookie"], throws: a.Throws != ""}
	switch {
	case d.throws:
		d.reason = a.Throws + ": " + a.Message
	case a.Status == "signed-in" && a.Auth["isAuthenticated"] == true:
		d.outcome, d.auth = in, a.Auth
		for _, name := range []string{"isAuthenticated", "tokenType", "sessionStatus"} {
			delete(d.auth, name)
		}
	case a.Status == "signed-in":
		d.outcome = pending
	}
	if location := a.Headers["location"]; len(location) > 0 {
		d.before, d.outcome, d.location = d.outcome, redirect, location[0]
	}
	return d
}

// identity returns an identity with the names of the SDK's auth object.
func identity(who clerkauth.Auth) map[string]any {
	payload, _ := clerkauth.ClaimsAs[map[string]any](who)
	auth := map[string]any{
		"userId": who.UserID, "sessionId": who.SessionID, "orgId": who.OrgID, "orgRole": who.OrgRole, "orgSlug": who.OrgSlug,
		"orgPermissions": who.Permissions(), "sessionClaims": payload, "factorVerificationAge": payload["fva"],
	}
	if who.Actor.ID != "" {
		auth["actor"] = map[string]any{"sub": who.Actor.ID}
	}
	return auth
}

var (
	tokens  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*\.eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*`)
	expires = regexp.MustCompile(`Expires=[^;]*20[3-9][0-9] [^;]*`)
)

// normal returns the decision without what differs between two equal ones: each side has
// its own nonce, and tokens that are issued for it.
func (d decision) normal(nonce string) decision {
	fresh := nonce != "" || strings.Contains(fmt.Sprint(d.setCookie), "__session")
	claims := func(c map[string]any) {
		for _, name := range []string{"jti", "iat", "nbf", "exp", "fva"} {
			delete(c, name)
		}
	}
	text := func(s string) string {
		if nonce != "" {
			s = strings.ReplaceAll(s, nonce, nonceHere)
		}
		if !fresh {
			return s
		}
		return expires.ReplaceAllString(tokens.ReplaceAllStringFunc(s, func(token string) string {
			var c map[string]any
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			if json.Unmarshal(payload, &c) != nil {
				return token
			}
			claims(c)
			rest, _ := json.Marshal(c)
			return fmt.Sprintf("jwt-%v-%v-%x", c["sub"], c["sid"], sha256.Sum256(rest)) // of characters that need no encoding
		}), "Expires=later")
	}
	d.location = text(d.location)
	d.setCookie = slices.Clone(d.setCookie)
	for i := range d.setCookie {
		d.setCookie[i] = text(d.setCookie[i])
	}
	if d.auth != nil {
		raw, _ := json.Marshal(d.auth)
		d.auth = nil
		_ = json.Unmarshal(raw, &d.auth)
		if c, ok := d.auth["sessionClaims"].(map[string]any); ok && fresh {
			claims(c)
			delete(d.auth, "factorVerificationAge")
		}
	}
	return d
}

// class is the result of a comparison.
type class int

const (
	agree class = iota
	sameRefusal
	stricter
	laxer
	unexplained
	classes
)

func (c class) String() string {
	return [...]string{"agree", "same refusal", "stricter", "laxer", "unexplained"}[c]
}

// verdict is the result of a comparison, and the rule that explains a difference.
type verdict struct {
	class  class
	rule   string
	detail string
	theirs decision
}

// judge compares our decision about a request with the SDK's. ask returns that.
func judge(r *request, ours decision, ask func(*request) decision, rules []rule) verdict {
	theirs := ask(r)
	v := verdict{theirs: theirs}
	if v.class, v.detail = compare(ours, theirs); v.class == agree {
		return v
	}
	for i, rule := range rules {
		explained := verdict{class: stricter, rule: rule.name, theirs: theirs}
		switch {
		case rule.answers != nil && v.class != laxer && ours.outcome <= theirs.outcome && slices.Contains(rule.answers(r), clerkauth.Reason(ours.reason)):
			if theirs.outcome == refuse {
				explained.class = sameRefusal
			}
			return explained
		case rule.became != nil:
			if c, _ := compare(ours, rule.became(r, theirs)); c == agree {
				return explained
			}
		case rule.instead != nil && (v.class != laxer || rule.lenient):
			other := rule.instead(r)
			if other != nil && judge(other, ours, ask, slices.Delete(slices.Clone(rules), i, i+1)).class < laxer {
				return explained
			}
		}
	}
	return v
}

// compare compares decisions. What it calls stricter or unexplained needs a rule.
func compare(ours, theirs decision) (class, string) {
	switch {
	case ours.outcome > theirs.outcome && !(theirs.throws && ours.outcome == redirect):
		return laxer, "more than the SDK"
	case ours.outcome < theirs.outcome:
		return unexplained, "less than the SDK"
	case ours.outcome > theirs.outcome:
		return unexplained, "a redirect where the SDK throws"
	case ours.outcome == in:
		return compareIdentities(ours, theirs)
	case theirs.throws:
		return agree, "" // it gives no reason
	case ours.reason != theirs.reason:
		return unexplained, "another reason"
	case !sameLocation(ours.location, theirs.location):
		return unexplained, "another location"
	case !sameSet(ours.setCookie, theirs.setCookie):
		return unexplained, "other cookies"
	}
	return agree, ""
}

func compareIdentities(ours, theirs decision) (class, string) {
	for name := range theirs.auth {
		if a, b := ours.auth[name], theirs.auth[name]; !reflect.DeepEqual(a, b) && !(empty(a) && empty(b)) {
			return laxer, fmt.Sprintf("%s is %v, for the SDK %v", name, a, b)
		}
	}
	if !sameSet(ours.setCookie, theirs.setCookie) {
		return unexplained, "other cookies"
	}
	return agree, ""
}

func empty(v any) bool {
	list, ok := v.([]any)
	return v == nil || v == "" || ok && len(list) == 0
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func sameLocation(a, b string) bool {
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && u.Scheme == v.Scheme && u.Host == v.Host && u.Path == v.Path && reflect.DeepEqual(u.Query(), v.Query())
}
