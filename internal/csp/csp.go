// Package csp makes the values of Content-Security-Policy headers that pages with Clerk's
// browser SDK need (CSP Level 3). It knows no HTTP.
package csp

import (
	"maps"
	"slices"
	"strings"
)

// Keywords of source lists.
const (
	none          = "'none'"
	self          = "'self'"
	unsafeInline  = "'unsafe-inline'"
	strictDynamic = "'strict-dynamic'"
)

const (
	reportTo = "report-to"
	// reportGroup is the name of the endpoint that violations are reported to.
	reportGroup = "csp-endpoint"
)

// directive is one directive of a policy.
type directive struct {
	name   string
	values []string
}

func (d directive) String() string { return strings.Join(append([]string{d.name}, d.values...), " ") }

// addition is what is added to one directive of a policy.
type addition struct {
	name string
	// base is what the directive has if no policy restricts it yet.
	base []string
	// values are added in any case.
	values []string
	// nonced says that the nonce is one of them.
	nonced bool
	// fixed says that the directive is left alone where a policy has it.
	fixed bool
}

// Policy is what is added to the policies of a response. It is immutable.
type Policy struct {
	additions []addition // by name
	// alone is the line for responses without a policy, cut where the nonce belongs.
	alone   []string
	reports bool
}

// Options are what a Policy is made of.
type Options struct {
	// Frontends are the origins of the Frontend API.
	Frontends []string
	// Pages are the origins of the pages where people sign in. A form may end there or at
	// the Frontend API: some browsers also apply form-action to where the response to a
	// form redirects (CSP level 3, section 6.3.1.2).
	Pages []string
	// Strict allows scripts that have the nonce, and those that they load.
	Strict bool
	// Directives are added. Check finds nothing wrong with them.
	Directives map[string][]string
	// Report adds the endpoint that Endpoint names.
	Report bool
}

// required returns the sources that the SDK needs, by directive. They are those that
// Clerk's documents and the policy of @clerk/nextjs name. The latter's http: and https:
// for scripts are not among them: a policy with these stops no injected script.
func required(frontends, pages []string) map[string][]string {
	return map[string][]string{
		"connect-src": append(slices.Clone(frontends),
			"https://clerk-telemetry.com", "https://*.clerk-telemetry.com", "https://api.stripe.com", "https://maps.googleapis.com",
			"https://img.clerk.com", "https://*.protect.clerk.com:*"),
		"default-src": nil,
		"form-action": append(slices.Clone(frontends), pages...),
		"frame-src": {"https://challenges.cloudflare.com", "https://*.js.stripe.com", "https://js.stripe.com", "https://hooks.stripe.com",
			"https://*.protect.clerk.com"},
		"img-src": {"https://img.clerk.com"},
		"script-src": append(slices.Clone(frontends),
			"https://challenges.cloudflare.com", "https://*.js.stripe.com", "https://js.stripe.com", "https://maps.googleapis.com",
			"https://*.protect.clerk.com"),
		"style-src":  {unsafeInline}, // its components bring their styles along
		"worker-src": {"blob:"},      // its timers
	}
}

// New returns the policy that o describes.
func New(o Options) *Policy {
	all := map[string]*addition{}
	for name, values := range required(o.Frontends, o.Pages) {
		all[name] = &addition{name: name, base: []string{self}, values: values}
	}
	script := all["script-src"]
	if o.Strict {
		script.values, script.nonced = append(script.values, strictDynamic), true
	} else {
		script.base = append(script.base, unsafeInline)
	}
	// Of directives for elements alone, browsers ignore the general one.
	for elements, general := range elements {
		if _, ok := o.Directives[elements]; ok {
			like := *all[general]
			like.name, like.values = elements, slices.Clone(like.values)
			all[elements] = &like
		}
	}
	for name, values := range o.Directives {
		values = normalize(values)
		a := all[name]
		switch {
		case None(values):
			a = &addition{name: name, base: values, fixed: true}
		case a == nil:
			a = &addition{name: name, values: values}
		default:
			a.values = append(a.values, values...)
		}
		all[name] = a
	}
	if o.Report {
		all[reportTo] = &addition{name: reportTo, base: []string{reportGroup}, fixed: true}
	}
	p := &Policy{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p.additions = append(p.additions, *all[name])
	}
	const nonce = "\x00" // no value contains it
	lines, reports := p.merge(nil, nonce)
	p.alone, p.reports = strings.Split(lines[0], nonce), reports
	return p
}

// Endpoint returns the value of a Reporting-Endpoints header that sends reports to url.
func Endpoint(url string) string { return reportGroup + `="` + url + `"` }

// Add returns the header lines of a response that had those in there, and whether
// Endpoint is used in them. A directive that a policy in there has, or that another one
// stands in for, gets what is needed in addition to what it allows. One that no policy in
// there restricts is added to one of them. A second policy would not do: browsers
// enforce every one, so that it can only forbid. The nonce is not used unless p is strict.
func (p *Policy) Add(there []string, nonce string) (lines []string, reports bool) {
	if len(there) == 0 {
		return []string{strings.Join(p.alone, nonce)}, p.reports
	}
	return p.merge(there, nonce)
}

func (p *Policy) merge(there []string, nonce string) (lines []string, reports bool) {
	before, policies := parse(there), parse(there)
	if len(policies) == 0 {
		policies = [][]directive{nil}
	}
	main, several := mainPolicy(before)
	for _, a := range p.additions {
		values := a.values
		if a.nonced {
			values = append(slices.Clone(values), "'nonce-"+nonce+"'")
		}
		// The default would forbid what the other policies name.
		restricted := several && a.name == "default-src" && len(values) == 0 && !a.fixed
		for i, policy := range before {
			if restriction, ok := restrictionOf(policy, a.name); ok {
				restricted = true
				policies[i] = a.widen(policies[i], restriction, values)
			}
		}
		if !restricted {
			policies[main] = append(policies[main], directive{a.name, union(a.base, values)})
			reports = reports || a.name == reportTo
		}
	}
	for _, policy := range policies {
		texts := make([]string, len(policy))
		for i, d := range policy {
			texts[i] = d.String()
		}
		lines = append(lines, strings.Join(texts, "; "))
	}
	return lines, reports
}

// mainPolicy returns the index of the first policy that has a fetch directive, or 0, and
// whether there are several.
func mainPolicy(policies [][]directive) (main int, several bool) {
	found := false
	for i, policy := range policies {
		if !slices.ContainsFunc(policy, func(d directive) bool { return slices.Contains(fetch, d.name) }) {
			continue
		}
		if found {
			return main, true
		}
		main, found = i, true
	}
	return main, false
}

// widen returns policy, whose directive there restricts what a is about, with values
// added to it.
func (a *addition) widen(policy []directive, there directive, values []string) []directive {
	switch {
	case a.fixed && there.name != a.name:
		return append(policy, directive{a.name, a.base})
	case a.fixed, len(values) == 0:
		return policy
	case a.name == "worker-src" && there.name != a.name && slices.Contains(there.values, strictDynamic):
		return policy // allows all workers; named, it would allow only those it lists
	}
	add := func(name string) bool {
		i := slices.IndexFunc(policy, func(d directive) bool { return d.name == name })
		if i >= 0 {
			policy[i].values = union(policy[i].values, values)
		}
		return i >= 0
	}
	if !add(a.name) {
		policy = append(policy, directive{a.name, union(there.values, values)})
	}
	for elements, general := range elements {
		if general == a.name {
			add(elements)
		}
	}
	return policy
}

// union returns the values of both lists, each once. 'none' is not among them unless it
// is alone, because browsers ignore it then.
func union(a, b []string) []string {
	var all []string
	for _, value := range slices.Concat(a, b) {
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	if len(all) > 1 {
		all = slices.DeleteFunc(all, func(value string) bool { return strings.EqualFold(value, none) })
	}
	return all
}

// parse returns the policies in header lines: of a directive's duplicates the first, as
// browsers read them.
func parse(lines []string) [][]directive {
	var policies [][]directive
	for text := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		var policy []directive
		for part := range strings.SplitSeq(text, ";") {
			fields := strings.Fields(part)
			if len(fields) == 0 {
				continue
			}
			name := strings.ToLower(fields[0])
			if !slices.ContainsFunc(policy, func(d directive) bool { return d.name == name }) {
				policy = append(policy, directive{name, fields[1:]})
			}
		}
		if policy != nil {
			policies = append(policies, policy)
		}
	}
	return policies
}

// restrictionOf returns the directive of policy that decides about what name is for:
// that directive, or the first that stands in for it.
func restrictionOf(policy []directive, name string) (directive, bool) {
	for _, name := range append([]string{name}, standIns(name)...) {
		for _, d := range policy {
			if d.name == name {
				return d, true
			}
		}
	}
	return directive{}, false
}
