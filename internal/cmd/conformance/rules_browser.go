package main

import (
	"maps"
	"slices"

	"github.com/clerkauth/clerkauth"
)

// browserRules are the intended differences in the browser flows, which read them one by
// one. They are tried in this order.
var browserRules = []struct {
	name string
	why  string
}{
	{"origin-unread", "a request does not make the configuration wrong, whatever its Origin"},
	{"null-payload", "a token whose payload is null is malformed, and does not stop the request"},
	{"unused-handshake", "a handshake is resolved on GET and HEAD, a nonce on navigations or in a handshake of ours, a token from the cookie in production, and none that is out of date"},
	{"session-directive", "the last session cookie that Clerk hands over has exactly the name of one of ours, and is for this host"},
	{"session-category", "a session that Clerk hands over is not a token of another category"},
	{"login-csrf", "a handshake that was not started here does not replace another user's session"},
	{"own-cookies", "only Clerk's own cookies are set, for this host and its parents"},
	{"handshake-once", "a handshake in a cookie, which may come again, does not lead to the same URL for ever"},
	{"known-satellites", "only configured satellites are answered"},
	{"iat-required", "a session token says when it was issued"},
	{"one-session-cookie", "a session cookie with two values signs nobody in"},
	{"loop-guard", "three or more redirects are a loop, and their number is a natural one"},
	{"own-origin", "a host that is none of the authorized parties' is not this server's, so that no browser is sent back to it"},
	{"cross-site", "cookies identify nobody where a page of another site may have caused a change or opened a websocket"},
	{"navigations", "neither an upgrade of a connection nor a fragment for htmx can follow a redirect"},
	{"speculation", "a document that is fetched before the user goes there has no side effect"},
	{"no-fragment", "a fragment never reaches a server"},
	{"public-url", "the public URL is a plain host and a web scheme, from the nearest trusted proxy, and no path changes it"},
	{"clean-return", "the browser does not return with the handshake that failed"},
	{"bearer-refresh", "a refresh is for the session of the request's own token"},
	{"session-ids", "an id in a path of the Backend API has the form of a session's"},
	{"same-session", "a refreshed token is of the same user and session"},
	{"sync-after-refresh", "a session that was refreshed is of the organization that the path names, too"},
	{"known-codes", "only words are taken from an error of the Backend API into a redirect"},
	{"outage-refused", "where Clerk cannot be reached and a redirect does not help, the request is refused as unavailable"},
	{"auth-object", "a session whose claims cannot be read is refused, whatever carried it"},
}

// browses reports whether the SDK's browser flows may decide about the case: it has no
// token in its header, or one of a session.
func (r *reading) browses() bool {
	switch r.flow {
	case flowCookies:
		return true
	case flowSession, flowThrows:
		return slices.Contains(r.accepted(), clerkauth.SessionToken)
	default:
		return false
	}
}

// changed returns the reading of a case as other rules than those of the flows have it.
func (r *reading) changed(on func(rule string) bool) *reading {
	scheme, rest := r.bearer()
	lower := on("bearer-case") && scheme != "" && r.token == ""
	secret := on("no-secret-needed") && r.text("secretKey") == ""
	origin := on("origin-unread") && r.Request.Headers["origin"] != nil
	if !lower && !secret && !origin {
		return r
	}
	c := *r.authCase
	c.Request.Headers, c.Options = maps.Clone(c.Request.Headers), maps.Clone(c.Options)
	if lower {
		c.Request.Headers["authorization"] = []string{"Bearer" + rest}
	}
	if secret {
		c.Options["secretKey"] = "sk_test_x"
	}
	if origin {
		delete(c.Request.Headers, "origin")
	}
	return newReading(&c, r.cache.clone())
}

// is reports whether an answer is the ruling.
func (d ruling) is(a *answer) bool {
	if d.outcome == outcomeIn && d.session.sdkThrows() && a.Outcome == outcomeRefuse {
		return true // the SDK lets in a caller without an auth object
	}
	if d.outcome != a.Outcome {
		return false
	}
	switch d.outcome {
	case outcomeRefuse:
		return d.silent || d.reason == clerkauth.Reason(a.Reason)
	case outcomeRedirect:
		return d.reason == clerkauth.Reason(a.Reason) && sameLocation([]string{d.location}, string(a.Location)) && sameSet(d.cookies, a.SetCookie)
	default:
		return sameSet(d.cookies, a.SetCookie)
	}
}

// tokenRule is the decision of a rule about a token in the browser flows.
type tokenRule struct {
	rule   rule
	reason clerkauth.Reason
}

// worldOf returns the world in which the named rules hold, and one about tokens.
func worldOf(t *tokenRule, names ...string) world {
	return world{
		on: func(name string) bool { return slices.Contains(names, name) },
		decide: func(s *reading) (clerkauth.Reason, bool) {
			if t == nil || !t.applies(s) {
				return "", false
			}
			if t.reason == letIn {
				return "", true
			}
			return t.reason, true
		},
	}
}

// tokenRules returns what rules say about the tokens that are verified for a case, also
// after others have been rejected.
func (r *reading) tokenRules(names []string) (all tokenRules) {
	w := worldOf(nil, names...)
	w.visit = func(s *reading) {
		for _, rule := range rules {
			for _, reason := range rule.answers(s) {
				t := tokenRule{rule, reason}
				if reason != reasonConfiguration && reason != reasonRequest && !slices.ContainsFunc(all, t.same) {
					all = append(all, t)
				}
			}
		}
	}
	for known := -1; known < len(all); w.decide = all.rejects {
		known = len(all)
		r.browse(w)
	}
	return all
}

func (t tokenRule) same(other tokenRule) bool {
	return t.rule.name == other.rule.name && t.reason == other.reason
}

// applies reports whether the decision is one about this token.
func (t tokenRule) applies(s *reading) bool { return slices.Contains(t.rule.answers(s), t.reason) }

type tokenRules []tokenRule

// rejects returns the first decision to reject a token.
func (all tokenRules) rejects(s *reading) (clerkauth.Reason, bool) {
	for _, t := range all {
		if t.reason != letIn && t.applies(s) {
			return t.reason, true
		}
	}
	return "", false
}

// browserRule returns the rule by which our answer differs from the SDK's, without a name
// if it does not, and the decision that they lead to. It reports false if no rule explains
// the answer.
func browserRule(r *reading, a *answer) (by rule, d ruling, explained bool) {
	decides := func(t *tokenRule, names ...string) bool {
		d = r.browse(worldOf(t, names...))
		return d.is(a)
	}
	if decides(nil) {
		return rule{}, d, true
	}
	names := []string{"bearer-case", "no-secret-needed"}
	for _, rule := range browserRules {
		names = append(names, rule.name)
	}
	of := func(name string) rule { return rule{name: name, effects: refuses | effectsOf(name)} }
	for _, name := range names {
		if decides(nil, name) {
			return of(name), d, true
		}
	}
	for _, t := range r.tokenRules(nil) {
		if decides(&t) {
			return t.rule, d, true
		}
	}
	for i, name := range names {
		if others := slices.Delete(slices.Clone(names), i, i+1); !decides(nil, others...) && decides(nil, names...) {
			return of(name), d, true
		}
	}
	all := r.tokenRules(names)
	for _, t := range all {
		if decides(&t, names...) {
			return t.rule, d, true
		}
	}
	// Several tokens, each rejected by a rule of its own.
	for _, t := range all {
		w := worldOf(&t, names...)
		first := w.decide
		w.decide = func(s *reading) (clerkauth.Reason, bool) {
			if reason, ok := first(s); ok {
				return reason, true
			}
			return all.rejects(s)
		}
		if d = r.browse(w); d.is(a) {
			return t.rule, d, true
		}
	}
	return rule{}, d, false
}
