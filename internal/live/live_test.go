// Package live compares decisions of this library with those of Clerk's own JavaScript
// SDK, @clerk/backend, about requests that both get at the same time, from the same local
// instance.
package live

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func envInt(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// describe returns the request and both decisions, with the claims of tokens instead of
// them.
func (r *request) describe(ours, theirs decision) string {
	text := fmt.Sprintf("%s\n%s %s\n", r.on.name, r.method, r.url(nonceHere))
	for _, list := range [][][2]string{r.headers, r.cookies} {
		for _, pair := range list {
			text += fmt.Sprintf("  %s = %s\n", pair[0], pair[1])
		}
	}
	text += fmt.Sprintf("ours: %v\nthe SDK's: %v", ours, theirs)
	return tokens.ReplaceAllStringFunc(text, func(token string) string {
		var c map[string]any
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil || json.Unmarshal(payload, &c) != nil {
			return token
		}
		for _, name := range []string{"exp", "iat", "nbf"} {
			if at, ok := c[name].(float64); ok {
				c[name] = fmt.Sprintf("now%+g", at-float64(r.now)/1000)
			}
		}
		return fmt.Sprintf("jwt%v", c)
	})
}

// TestDecisions: about random requests we decide as the SDK does, or in a stricter way that
// a rule names. CLERKAUTH_REQUESTS is their number, and CLERKAUTH_SEED draws others.
func TestDecisions(t *testing.T) {
	s := startSDK(t)
	seed, n := envInt(t, "CLERKAUTH_SEED", 1), int(envInt(t, "CLERKAUTH_REQUESTS", 200))
	t.Logf("CLERKAUTH_SEED=%d CLERKAUTH_REQUESTS=%d", seed, n)
	g := newGenerator(t, seed)
	var counts [classes]int
	byRule := map[string]int{}
	for i := range n {
		r := g.draw(i)
		ours := r.ours(t)
		v := judge(r, ours, func(r *request) decision { return r.theirs(t, s) }, rules)
		counts[v.class]++
		if v.class != agree {
			byRule[v.class.String()+" "+v.rule]++
		}
		if v.class >= laxer {
			t.Errorf("request %d: %v: %s\n%s", i, v.class, v.detail, r.describe(ours, v.theirs))
		}
	}
	for c, n := range counts {
		t.Logf("%5d %v", n, class(c))
	}
	for _, key := range slices.Sorted(maps.Keys(byRule)) {
		t.Logf("%5d %s", byRule[key], key)
	}
	if good := counts[agree] + counts[sameRefusal]; good*100 < n*75 {
		t.Errorf("%d of %d decisions agree: rules explain too much", good, n)
	}
	for _, rule := range rules {
		if n >= 5000 && byRule["stricter "+rule.name]+byRule["same refusal "+rule.name] == 0 {
			t.Errorf("the rule %s explains nothing", rule.name)
		}
	}
}

// TestJudge: a library that decides wrongly is noticed, whatever the rules say.
func TestJudge(t *testing.T) {
	s := startSDK(t)
	g := newGenerator(t, 2)
	wrong := map[string]struct {
		change func(decision) decision
		want   class
	}{
		"everybody is let in": {func(d decision) decision {
			d.outcome, d.auth = in, map[string]any{"userId": "user_x"}
			return d
		}, laxer},
		"another user": {func(d decision) decision {
			if d.outcome == in {
				d.auth = maps.Clone(d.auth)
				d.auth["userId"] = "user_x"
			}
			return d
		}, laxer},
		"more rights": {func(d decision) decision {
			if d.outcome == in {
				d.auth = maps.Clone(d.auth)
				d.auth["orgPermissions"] = []any{"org:invoices:delete"}
			}
			return d
		}, laxer},
		"redirected instead of refused": {func(d decision) decision {
			if d.outcome == refuse {
				d.outcome, d.location = redirect, "https://app.example.com/"
			}
			return d
		}, laxer},
		"nobody is let in": {func(d decision) decision {
			if d.outcome == in {
				d.outcome, d.reason = refuse, "token-type-mismatch"
			}
			return d
		}, unexplained},
		"redirected elsewhere": {func(d decision) decision {
			d.location = strings.Replace(d.location, "https://", "https://evil.example/", 1)
			return d
		}, unexplained},
		"another reason": {func(d decision) decision {
			d.reason += "x"
			return d
		}, unexplained},
		"no cookies": {func(d decision) decision {
			d.setCookie = nil
			return d
		}, unexplained},
	}
	noticed := map[string]int{}
	for i := range 60 {
		r := g.draw(i)
		ours := r.ours(t)
		for name, w := range wrong {
			changed := w.change(ours)
			if reflect.DeepEqual(changed, ours) {
				continue
			}
			v := judge(r, changed, func(r *request) decision { return r.theirs(t, s) }, rules)
			if v.class == w.want {
				noticed[name]++
			}
		}
	}
	for name := range wrong {
		if noticed[name] == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
	t.Log(noticed)
}
