package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/gofiber/fiber/v3"
	"github.com/gorilla/mux"

	"github.com/clerkauth/clerkauth"
)

// classes are regular expressions behind a prefix, valid in Clerk's grammar and in a
// router's: with negated classes, and with letters that have more than two cases.
var classes = []struct{ prefix, expression string }{
	{"/files/", `[^A-Z]+`},
	{"/hex/", `[^a-f]`},
	{"/ids/", `[^A-Z/]+`},
	{"/odd/", `[^a-z0-9]+`},
	{"/kelvin/", `[^k]+`},
	{"/kelvins/", `[^K]`},
	{"/desk/", `[^s\/]+`},
	{"/desks/", `s[^S]*`},
	{"/greek/", `[^σ]`},
	{"/upper/", `[A-F][^A-F]?`},
	{"/words/", `\W+`},
	{"/digits/", `\D+`},
	{"/lower/", `[^\da-z]+`},
}

// guarding returns the pattern for a class.
func guarding(prefix, expression string) string { return prefix + "(" + expression + ")" }

// classValues are the ends of paths, after a prefix.
var classValues = strings.Fields(`
abc ABC aBc 1 a A f F g G z Z 0 - _ k K s S sa SA Sa sS x X abc1 ABC1 a/b A/B a-b A-B ab AB aG Ag .x x.y
%41 %61 %4b %6B %E2%84%AA %E2%84%AAa %C5%BF %C5%BFa a%C5%BF %C3%89 %C3%A9 %C4%B1 %C4%B0 %C3%9F %E1%BA%9E %CF%83 %CF%82 %CE%A3 %C2%B5 %CE%BC %C7%85 %C3%BF %C5%B8 %EF%BC%A1 %EF%BD%81
%2541 K%E2%84%AA %CE%A3%CF%82 a%20b A%20B A%2fB a%2Fb @ + ~ $ ! %5b %5e
`)

func classTargets() []target {
	var list []target
	add := func(method, path string) {
		list = append(list, target{method: method, path: path, host: appHost})
	}
	for _, c := range classes {
		name := strings.Trim(c.prefix, "/")
		prefixes := []string{c.prefix, "/" + strings.ToUpper(name[:1]) + name[1:] + "/"}
		for letter, code := range map[string]string{"s": "%C5%BF", "k": "%E2%84%AA"} { // their other cases
			if folded := strings.Replace(c.prefix, letter, code, 1); folded != c.prefix {
				for _, value := range []string{"1", "a", "A", "-", "SA"} {
					add("GET", folded+value)
				}
			}
		}
		for _, prefix := range prefixes {
			for _, value := range classValues {
				add("GET", prefix+value)
			}
		}
		for _, path := range []string{c.prefix, "/x/.." + c.prefix + "ABC", "/" + c.prefix + "ABC", c.prefix + "ABC/", c.prefix + "ABC.json", c.prefix + "./A", "/%46iles/A"} {
			add("GET", path)
		}
	}
	add("HEAD", "/files/ABC")
	add("POST", "/files/ABC")
	for _, path := range strings.Fields("/other/abc /other/ABC /OTHER/abc /filesx/ABC /robots.txt /favicon.ico /assets/app.min.js /des/K /x/files/abc /caf%C3%A9/K") {
		list = append(list, target{method: "GET", path: path, host: appHost, benign: true})
	}
	return list
}

// classScenes returns scenes of routers that match expressions, some of which fold case.
func classScenes() []scene {
	setups := map[string]func(handlers) http.Handler{
		"gorilla": func(h handlers) http.Handler {
			r := mux.NewRouter()
			for _, c := range classes {
				r.Handle(c.prefix+"{x:"+c.expression+"}", h.secret())
			}
			r.PathPrefix("/").Handler(h.public())
			return r
		},
		"gorilla, any case": func(h handlers) http.Handler {
			r := mux.NewRouter()
			for _, c := range classes {
				r.Handle("/{prefix:(?i)"+strings.Trim(c.prefix, "/")+"}/{x:(?i)"+c.expression+"}", h.secret())
			}
			r.PathPrefix("/").Handler(h.public())
			return r
		},
		"expressions":           expressions(func(s string) string { return s }, ""),
		"expressions, any case": expressions(func(s string) string { return s }, "(?i)"),
		"lower case":            expressions(strings.ToLower, ""),
		"upper case":            expressions(strings.ToUpper, "(?i)"),
		"one case of all":       expressions(fold, ""),
	}
	var list []scene
	patterns, access, table := []string{}, clerkauth.Rules{"/{rest...}": clerkauth.Public}, map[string]bool{"/{rest...}": true}
	for _, c := range classes {
		pattern := guarding(c.prefix, c.expression)
		patterns, access[pattern], table[pattern] = append(patterns, pattern), clerkauth.SignedIn, false
	}
	var alone []*regexp.Regexp
	for _, c := range classes {
		alone = append(alone, regexp.MustCompile("^"+c.prefix+c.expression+"$"))
	}
	decided := []*guard{
		{name: "rules", opens: true, decide: rules("", table)},
		{name: "matcher, any", opens: true, decide: matches(patterns...)},
		{name: "the expressions alone", naive: true, decide: func(_, _ string, u *url.URL) int {
			if slices.ContainsFunc(alone, func(e *regexp.Regexp) bool { return e.MatchString(u.Path) }) {
				return http.StatusUnauthorized
			}
			return 0
		}},
	}
	guards := append(decided,
		&guard{name: "Protect", opens: true, outer: protect(access, "")},
		&guard{name: "Matcher.Any", opens: true, outer: requireIf(newClerkMatcher(patterns).Any)},
		&guard{name: "Require", opens: true, handler: middle(authenticator().Require())},
	)
	for name, build := range setups {
		list = append(list, scene{part: classPart, setup: name, layout: "classes", targets: classTargets(), guards: guards,
			start: func(g *guard) (http.Handler, fastApp) { return g.middleware()(build(g.handlers())), nil }})
	}
	for name, config := range map[string]fiber.Config{"fiber, classes": {UnescapePath: true}, "fiber, classes+CaseSensitive": {CaseSensitive: true}} {
		list = append(list, scene{part: classPart, setup: name, layout: "classes", targets: classTargets(), guards: decided,
			start: func(g *guard) (http.Handler, fastApp) {
				app := fiber.New(config)
				guardFiber(app, g)
				for _, c := range classes {
					if !config.CaseSensitive && strings.ContainsAny(c.expression, "DW") {
						continue // fiber lowers \W to \w, which changes the route
					}
					app.All(c.prefix+":x<regex(^"+c.expression+"$)>", fiberSay(secret))
				}
				app.All("/*", fiberSay(public))
				return nil, fiberApp{app}
			}})
	}
	for name, start := range fiber2Classes() {
		list = append(list, scene{part: classPart, setup: name, layout: "classes", targets: classTargets(), guards: decided,
			start: func(g *guard) (http.Handler, fastApp) { return nil, start(g) }})
	}
	return list
}

// expressions returns a router that matches the decoded path, changed by change.
func expressions(change func(string) string, flags string) func(handlers) http.Handler {
	var list []*regexp.Regexp
	for _, c := range classes {
		list = append(list, regexp.MustCompile(flags+"^"+c.prefix+c.expression+"$"))
	}
	return func(h handlers) http.Handler {
		closed, open := h.secret(), h.public()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, e := range list {
				if e.MatchString(change(r.URL.Path)) {
					closed.ServeHTTP(w, r)
					return
				}
			}
			open.ServeHTTP(w, r)
		})
	}
}

// fold returns s with every letter replaced by the first of its cases, in lower case for
// ASCII.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			least = min(least, c)
		}
		return unicode.ToLower(least)
	}, s)
}
