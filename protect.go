package clerkauth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/clerkauth/clerkauth/internal/route"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Rules maps patterns to what requests that match them require. Requests that match no
// rule require [SignedIn].
//
// A pattern is one of [http.ServeMux] ("POST /api/{name}", "/files/{rest...}",
// "/{$}") that does not end in a slash, or, if its path contains one of the characters
// ( : *, one of Clerk's ("/dashboard(.*)", "/orgs/:slug", "/docs/:path*"). The most
// specific rule applies. A GET rule applies to HEAD, too. If a path has rules for other
// methods only, a request has to meet all of them.
//
// A pattern may name a host, with its port unless that is the scheme's own:
// "www.example.com/{rest...}", "localhost:8080/{$}", "[::1]:8080/{$}". Without a port,
// a rule that guards applies to every port, and a Public one to none: it opens no
// request whose Host has a port. Hosts are compared in lower case, as browsers send
// them; a Host in another case, or with a port that the rule does not name, also has to
// meet the rules for all hosts.
//
// Rules that guard match letters in either case (simple folding, as
// [strings.EqualFold]), one slash more or less at the end, and a last segment without
// what follows one of its dots: a rule for /admin/users also guards /Admin/users/ and
// /admin/users.json. A Public rule opens what it names and nothing else. One that names
// an extension, such as /robots.txt, stays open whatever guards /robots.
type Rules map[string]Access

// ProtectOption configures [Authenticator.Protect]. See [Mount].
type ProtectOption func(*protection)

// protection holds what options of Protect set.
type protection struct{ mount string }

// Mount returns an option for rules about paths without prefix, where a handler behind
// the middleware removes it, as [http.StripPrefix] does. Paths without the prefix
// require [SignedIn]. It is not for a middleware behind such a handler, where the
// prefix is gone already. Defaults to no prefix.
func Mount(prefix string) ProtectOption {
	return func(p *protection) { p.mount = prefix }
}

// Protect returns middleware that applies rules by path, in front of a router of any
// kind. It authenticates requests as [Authenticator.Handler] does.
//
// Routers, and handlers behind them, interpret paths and hosts differently: they decode
// them, clean them, or do not. Protect matches every plausible interpretation, and a
// caller has to meet the rules of all of them, so that a path is public only if it is
// public in every interpretation. Rules match the method, the path, and the host if a
// pattern names one; never the query or another header. A request is refused with 400
// ([ErrRequestTarget]) if it has no path, or one with control characters, invalid UTF-8
// or too many interpretations; if its URL names another host than its Host; and, where
// rules name hosts, if its Host is not a name or an address with an optional port.
//
// The interpretations are tested against [http.ServeMux], chi, gin, echo v4 and v5,
// fiber, gorilla/mux and bunrouter, in those of their settings that change paths. What
// follows an empty segment is one of them: /img/https://host/x also has to meet the
// rules for /host/x. Handlers that rewrite the path, host or method behind the
// middleware, and routers with an interpretation of their own, are not accounted for.
// There, and wherever handlers can be guarded one by one, use [Authenticator.Require]
// or [Authenticator.NewServeMux], which compare no paths.
//
// Protect logs a warning about a Public rule that names the host of
// [BrowserConfig.PublicOrigin] or of an authorized party with another port than
// requests to it have.
//
// The error joins everything that is wrong with rules: invalid patterns, rules that
// contradict each other or can never apply, requirements that no caller can meet, a
// [BrowserConfig.SignInURL] on this server that is not Public, a path of
// [BrowserConfig.ProxyURL] on this server that is not Unchecked, and [OrganizationParam],
// which needs the router's wildcards.
func (a *Authenticator) Protect(rules Rules, options ...ProtectOption) (Middleware, error) {
	var wrong mistakes
	policies := make(map[string]*policy, len(rules))
	for pattern, access := range rules {
		field, p := fmt.Sprintf("rule %q", pattern), policyOf(access)
		policies[pattern] = p
		if err := a.core.validate(p); err != nil {
			wrong.add(field, err)
			continue
		}
		p.each(func(part *policy) {
			if part.op == opOrganizationParam {
				wrong.add(field, errors.New("the organization in a path is known only behind the router: guard the handler with Require"))
			}
		})
	}
	var of protection
	for _, option := range options {
		option(&of)
	}
	table, err := route.NewTable(policies, route.Options[*policy]{
		Default: SignedIn.policy(),
		Open:    func(p *policy) bool { return p.open },
		Mount:   of.mount,
	})
	if err != nil {
		wrong = append(wrong, err)
	} else {
		wrong.add("Browser.SignInURL "+a.core.pages.signIn, a.core.pages.checkRules(table))
		wrong.add("Browser.ProxyURL", a.core.proxy.checkRules(table, of.mount))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: rules: %w", err)
	}
	a.core.warnOfPorts(table)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			found, err := table.Lookup(r.Method, r.Host, r.URL)
			if err != nil {
				if a.core.hide && r.Method == http.MethodConnect {
					a.hide(w, r)
					return
				}
				a.core.refuse(w, r, &State{}, newError(ErrRequestTarget, err), Public.policy())
				return
			}
			p := found[0].Value
			if len(found) > 1 { // the path has several interpretations
				all := make([]*policy, len(found))
				for i, rule := range found {
					all[i] = rule.Value
				}
				p = strictest(all)
			}
			a.pass(w, r, p, next)
		})
	}, nil
}

// warnOfPorts logs a warning about each open rule that names the host of one of this
// server's origins with another port than browsers do: it opens no request to it.
func (a *core) warnOfPorts(table *route.Table[*policy]) {
	hosts := []string{weburl.Host(a.pages.site.Public)}
	for _, party := range a.parties.list {
		hosts = append(hosts, weburl.Host(party))
	}
	better := table.OtherPorts(hosts)
	for _, rule := range slices.Sorted(maps.Keys(better)) {
		a.log.Warn("clerkauth: a public rule names the host of an origin with another port than requests to it do, and opens none of them",
			"rule", rule, "write", better[rule])
	}
}
