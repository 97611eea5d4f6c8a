package clerkauth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/clerkauth/clerkauth/internal/route"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Rules says who may call which paths. What no rule is about is for [SignedIn].
//
// A pattern is one of [http.ServeMux] ("POST /api/{name}", "/files/{rest...}",
// "/{$}") that does not end in a slash, or, if its path holds one of the characters ( : *, one of Clerk's
// ("/dashboard(.*)", "/orgs/:slug", "/docs/:path*"). The most specific rule
// counts. A GET rule is for HEAD, too; a method that no rule about a path is for
// has to meet all of them.
//
// A pattern may name a host, with its port where that is not its scheme's own:
// "www.example.com/{rest...}", "localhost:8080/{$}", "[::1]:8080/{$}". Without a
// port, a rule that guards is for every port, and a Public one for none: it opens
// no request whose Host has one. Hosts are compared in lower case, as browsers send
// them; a Host in another case, or with a port that the rule does not have, also has
// to meet the rules for all hosts.
//
// Rules that guard match letters in either case (simple folding, as
// [strings.EqualFold]), one slash more or less at the end, and a last segment
// without what is behind one of its dots: /admin/users is also /Admin/users/ and
// /admin/users.json. A Public rule opens what it says and nothing else. One that
// names an extension, /robots.txt, stays open whatever guards /robots.
type Rules map[string]Access

// ProtectOption says more about how rules are meant.
type ProtectOption func(*protection)

// protection is what the options of Protect set.
type protection struct{ mount string }

// Mount says that something behind the middleware takes prefix away from paths,
// as [http.StripPrefix] does, and that the rules are about what is left. Paths
// without the prefix are for [SignedIn]. It is not for a middleware that stands
// behind, where the prefix is gone already.
func Mount(prefix string) ProtectOption {
	return func(p *protection) { p.mount = prefix }
}

// Protect returns a middleware that guards a router of any kind by rules. It
// identifies callers as [Authenticator.Handler] does.
//
// Routers, and handlers behind them, read paths and hosts in different ways, so
// every reading is looked up, and a caller has to meet the rules of all of them: a
// path is public only if it is so however it is read. Of a request, only the method
// and the target count, and the host for patterns that name one; never a query or
// another header. Requests that name no path, or none that two programs would agree
// on, are refused with 400; so is a URL that names another host than Host, and,
// where a rule names a host, a Host that is more than a name or an address with a
// port.
//
// The readings are tested against [http.ServeMux], chi, gin, echo v4 and v5, fiber,
// gorilla/mux and bunrouter, in their settings that change paths. What is behind an
// empty segment is one of them, so /img/https://host/x meets the rules for /host/x,
// too. Whatever rewrites path, host or method behind the middleware, and a router
// that reads a request in a way of its own, is not seen. There, and wherever
// handlers can be guarded one by one, use [Authenticator.Require] or
// [Authenticator.NewServeMux], which leave nothing to compare.
//
// It logs a warning for a Public rule that names the host of [BrowserConfig.PublicOrigin]
// or of an authorized party, but not the port that requests to it have.
//
// The error joins every mistake in rules: patterns that are none, rules that
// contradict each other or can never apply, demands that nobody can meet, a
// [BrowserConfig.SignInURL] on this server that is not public, and [OrganizationParam],
// which needs the router's own wildcards.
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
				wrong.add(field, errors.New("the organization in a path is known behind the router alone: guard the handler with Require"))
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
	} else if page, err := url.Parse(a.core.pages.signIn); err == nil && page.Host == "" && page.Path != "" {
		// Who is sent there would be sent there again.
		if found, err := table.Lookup(http.MethodGet, weburl.Host(a.core.pages.site.Public), page); err != nil || !route.Open(found) {
			wrong.add("Browser.SignInURL "+page.Path, errors.New("the rules guard it: make it Public"))
		}
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
					state := a.Authenticate(r)
					a.core.hideFrom(w, r, &state)
					return
				}
				a.core.refuse(w, r, &State{}, newError(ErrRequestTarget, err), Public.policy())
				return
			}
			p := found[0].Value
			if len(found) > 1 { // of a path that is read in several ways
				all := make([]*policy, len(found))
				for i, rule := range found {
					all[i] = rule.Value
				}
				p = compile(policy{op: opAll, parts: all})
			}
			a.pass(w, r, p, next)
		})
	}, nil
}

// warnOfPorts logs open rules that name the host of an origin of ours with another
// port than browsers do: they open nothing there.
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
