package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
)

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

// verdict is the outcome of one comparison.
type verdict struct {
	class  class
	rule   string // the rule that was named, whether needed or not
	grants bool   // the SDK grants the request
	asWell bool   // we grant it as well
	detail string // the difference, where no rule excuses it
}

// expected is the SDK's decision.
type expected struct {
	Throws  json.RawMessage     `json:"throws"`
	Status  string              `json:"status"`
	Reason  string              `json:"reason"`
	Type    any                 `json:"tokenType"` // null for a kind that is not accepted
	Headers map[string][]string `json:"headers"`
	Auth    map[string]any      `json:"auth"`
}

// outcome maps the SDK's states to ours. For the SDK a pending session is signed in, but
// its auth object is a signed-out one.
func (e *expected) outcome() string {
	switch {
	case e.Throws != nil:
		return outcomeRefuse
	case len(e.Headers["location"]) > 0:
		return outcomeRedirect
	case e.Status == "signed-in" && (e.Auth["throws"] != nil || e.Auth["isAuthenticated"] == true):
		return outcomeIn
	default:
		return outcomeRefuse
	}
}

func (a *answer) compare(expect json.RawMessage) (verdict, error) {
	var sdk expected
	if err := json.Unmarshal(expect, &sdk); err != nil {
		return verdict{}, err
	}
	v := a.judge(&sdk)
	v.grants = sdk.outcome() == outcomeIn && sdk.Auth["throws"] == nil
	v.asWell = v.grants && a.Outcome == outcomeIn
	return v, nil
}

// judge compares our decision with the SDK's.
func (a *answer) judge(sdk *expected) verdict {
	theirs := sdk.outcome()
	v := verdict{class: agree, rule: a.Rule, detail: fmt.Sprintf("sdk %s %s, ours %s %s", theirs, sdk.Reason, a.Outcome, a.Reason)}
	rank := func(of string) int { return slices.Index([]string{outcomeRefuse, outcomeRedirect, outcomeIn}, of) }
	switch {
	case theirs == outcomeIn && a.Outcome == outcomeRefuse && sdk.Auth["throws"] != nil:
		// Neither grants anything.
	case rank(a.Outcome) > rank(theirs) && (sdk.Throws == nil || a.Outcome != outcomeRedirect):
		v.class = a.excused(effectMore, laxer)
	case a.Outcome != theirs:
		v.class = a.excused(effectLess, unexplained)
	case a.Outcome == outcomeIn:
		v.class, v.detail = a.judgeIdentity(sdk)
	case a.Outcome == outcomeRedirect:
		if sdk.Reason != string(a.Reason) || !sameLocation(sdk.Headers["location"], string(a.Location)) ||
			!sameSet(sdk.Headers["set-cookie"], a.SetCookie) {
			v.class = a.excused(effectLess, unexplained)
		}
	case sdk.Throws != nil:
		// The SDK gives no reason.
	case sdk.Reason != "" && sdk.Reason != string(a.Reason) || !sameType(sdk.Type, a.TokenType):
		v.class = a.excused(effectReason, unexplained)
	}
	return v
}

// excused returns the class of a difference: otherwise, unless the named rule excuses it.
func (a *answer) excused(e effect, otherwise class) class {
	switch {
	case a.excuses&e == 0:
		return otherwise
	case e == effectReason:
		return sameRefusal
	default:
		return stricter
	}
}

// judgeIdentity compares two decisions that let the caller in.
func (a *answer) judgeIdentity(sdk *expected) (class, string) {
	ours := plain(a.Auth)
	if a.excuses&effectMore != 0 && empty(sdk.Auth["id"]) && empty(sdk.Auth["userId"]) {
		return stricter, "" // the SDK lets the caller in without an identity
	}
	if sdk.Auth["throws"] != nil {
		// The SDK has no auth object. Ours must grant nothing.
		for _, name := range rights {
			if name != "sessionClaims" && !empty(ours[name]) {
				return laxer, "ours has more: " + name
			}
		}
		return agree, ""
	}
	worst, detail := agree, ""
	note := func(c class, name string) {
		if c > worst {
			worst, detail = c, "identities differ: "+name
		}
	}
	names := maps.Clone(sdk.Auth)
	maps.Copy(names, ours)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		mine, theirs := ours[name], sdk.Auth[name]
		switch {
		case reflect.DeepEqual(mine, theirs) || empty(mine) && empty(theirs):
		case !slices.Contains(rights, name):
			note(unexplained, name)
		case !within(mine, theirs):
			return laxer, "ours has more: " + name
		default:
			note(a.excused(lessOf(name), unexplained), name)
		}
	}
	cookies := sdk.Headers["set-cookie"]
	switch {
	case !sameType(sdk.Type, a.TokenType):
		note(unexplained, "token_type")
	case !subsetOf(a.SetCookie, cookies):
		note(unexplained, "set_cookie")
	case !sameSet(a.SetCookie, cookies):
		note(a.excused(effectLess, unexplained), "set_cookie")
	}
	return worst, detail
}

func sameType(theirs any, ours nullable) bool {
	return theirs == nil && ours == "" || theirs == string(ours)
}

// rights are the fields of an auth object of which less is stricter. They include
// claims, because applications authorize by them, too.
var rights = []string{"orgId", "orgRole", "orgSlug", "orgPermissions", "scopes", "sessionClaims", "claims", "clientId"}

// lessOf returns the effect of a rule that excuses less of a right.
func lessOf(right string) effect {
	switch right {
	case "scopes":
		return effectScopes
	case "clientId":
		return effectClient
	case "sessionClaims", "claims":
		return effectClaims
	default:
		return effectOrganization
	}
}

// plain returns m as decoded from its JSON.
func plain(m map[string]any) map[string]any {
	text, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	var out map[string]any
	_ = json.Unmarshal(text, &out)
	return out
}

// empty reports whether v is absent, null or empty.
func empty(v any) bool {
	if l, ok := v.([]any); ok {
		return len(l) == 0
	}
	return !truthy(v)
}

// within reports whether a right of ours is no more than theirs.
func within(ours, theirs any) bool {
	if empty(ours) {
		return true
	}
	mine, ok := ours.([]any)
	its, ok2 := theirs.([]any)
	if !ok || !ok2 {
		return reflect.DeepEqual(ours, theirs)
	}
	for _, m := range mine {
		if !slices.Contains(its, m) {
			return false
		}
	}
	return true
}

func sameLocation(theirs []string, ours string) bool {
	if len(theirs) != 1 {
		return false
	}
	a, err1 := url.Parse(theirs[0])
	b, err2 := url.Parse(ours)
	return err1 == nil && err2 == nil && a.Scheme == b.Scheme && a.Host == b.Host && a.Path == b.Path &&
		reflect.DeepEqual(a.Query(), b.Query())
}

func sameSet(a, b []string) bool { return subsetOf(a, b) && subsetOf(b, a) }

func subsetOf(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}
