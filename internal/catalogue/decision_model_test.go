package catalogue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// presenter is a caller with a credential of known properties.
type presenter struct {
	name, line string // the Authorization line, "" for none
	kind       clerkauth.TokenType
	subject    string
	scopes     []string
	admin      bool
	bad        bool // rejected where its kind is accepted
	away       bool // not verifiable at the moment
	pending    bool
	foreign    bool // not a credential of this instance
}

// wish is an Access in a form that can be evaluated independently of the package.
type wish struct {
	op    string // public, signed in, role, scope, token, all, any
	kind  clerkauth.TokenType
	scope string
	parts []wish
}

func (w wish) access() clerkauth.Access {
	parts := make([]clerkauth.Access, len(w.parts))
	for i, part := range w.parts {
		parts[i] = part.access()
	}
	switch w.op {
	case "public":
		return clerkauth.Public
	case "signed in":
		return clerkauth.SignedIn
	case "role":
		return clerkauth.Role("admin")
	case "scope":
		return clerkauth.Scope(w.scope)
	case "token":
		return clerkauth.Token(w.kind, parts...)
	case "all":
		return clerkauth.AllOf(parts...)
	default:
		return clerkauth.AnyOf(parts...)
	}
}

// outcome returns 0 if w refuses the caller as unauthenticated, 1 if a right is
// missing, and 2 if w is satisfied. of is the kind of the Token that contains w, if
// any.
func (w wish) outcome(who presenter, of clerkauth.TokenType) int {
	best, worst := 0, 2
	for _, part := range w.parts {
		in := of
		if w.op == "token" {
			in = w.kind
		}
		o := part.outcome(who, in)
		best, worst = max(best, o), min(worst, o)
	}
	right := func(met bool) int {
		if met {
			return 2
		}
		return 1
	}
	switch {
	case w.op == "public":
		return 2
	case w.op == "any":
		return best
	case w.op == "all":
		return worst
	case w.op == "token" && who.kind == w.kind:
		return worst
	case w.op == "signed in" && who.kind == clerkauth.SessionToken:
		return 2
	case w.op == "role" && who.kind == clerkauth.SessionToken:
		return right(who.admin)
	case w.op == "scope" && of != "" && who.kind == of:
		return right(slices.Contains(who.scopes, w.scope))
	}
	return 0
}

// names reports whether a Token in w is of that kind.
func (w wish) names(kind clerkauth.TokenType) bool {
	return w.op == "token" && w.kind == kind || slices.ContainsFunc(w.parts, func(part wish) bool { return part.names(kind) })
}

// uses reports whether a caller of that kind with every right satisfies w.
func (w wish) uses(kind clerkauth.TokenType) bool {
	return w.outcome(presenter{kind: kind, admin: true, scopes: []string{"a", "b"}}, "") == 2
}

// takes reports whether guards for w verify credentials of a kind.
func (w wish) takes(kind clerkauth.TokenType) bool {
	return w.uses(kind) && (kind == clerkauth.SessionToken || w.names(kind))
}

// decides returns the caller that a guard for w decides about, and its status. A
// machine is anonymous where machines are not accepted.
func (w wish) decides(who presenter, machines bool) (presenter, int) {
	anonymous := presenter{}
	session := who.kind == clerkauth.SessionToken
	open := w.uses("") // w allows anonymous callers
	if who.kind == "" || who.foreign {
		return anonymous, map[bool]int{true: 200, false: 401}[open]
	}
	if !session && (!machines || !w.takes(who.kind)) {
		return anonymous, map[bool]int{true: 200, false: 401}[open]
	}
	if session && !w.takes(who.kind) && (who.bad || who.away || who.pending) {
		return anonymous, 401
	}
	switch {
	case who.bad:
		return anonymous, 401
	case (who.away || who.pending) && open:
		return anonymous, 200
	case who.away:
		return anonymous, 503
	case who.pending:
		return anonymous, 401
	}
	return who, []int{401, 403, 200}[w.outcome(who, "")]
}

var machineKinds = []clerkauth.TokenType{clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}

func randomWish(r *rand.Rand, depth int, inToken bool) wish {
	switch n := r.IntN(12); {
	case depth > 0 && n < 6:
		w := wish{op: testkit.Pick(r, "all", "any", "any")}
		for range 1 + r.IntN(3) {
			w.parts = append(w.parts, randomWish(r, depth-1, inToken))
		}
		return w
	case inToken:
		return wish{op: "scope", scope: testkit.Pick(r, "a", "b")}
	case n < 9:
		w := wish{op: "token", kind: machineKinds[r.IntN(3)]}
		for range r.IntN(2) {
			w.parts = append(w.parts, randomWish(r, depth-1, true))
		}
		return w
	default:
		return wish{op: testkit.Pick(r, "public", "signed in", "role")}
	}
}

// TestNestedGuardsAgreeWithAModel: however guards are nested, and whichever
// credential a request carries by then, each decides as the model does, and its
// handler sees exactly the caller that was decided about.
func TestNestedGuardsAgreeWithAModel(t *testing.T) {
	r := testkit.NewMachineRig(t)
	sessionsAlone := testkit.NewAuth(t, r.Server)
	joe := r.Server.SignIn(r.Server.CreateUser("joe@example.com"))
	scoped, other := r.Server.CreateAPIKey(r.User, "a"), r.Server.CreateOAuthToken(r.User, "client_2", "a", "b")
	revoked := r.Server.CreateAPIKey(r.User, "a")
	r.Server.Revoke(revoked)
	const session = clerkauth.SessionToken
	presenters := []presenter{
		{name: "anonymous"},
		{name: "basic", line: "Basic YTpi"},
		{name: "admin", line: "Bearer " + r.Jane.Token(testkit.LongLived), kind: session, subject: r.Jane.User.ID, admin: true},
		{name: "user", line: "Bearer " + joe.Token(testkit.LongLived), kind: session, subject: joe.User.ID},
		{name: "pending", line: "Bearer " + joe.Token(testkit.LongLived, clerkauthtest.WithClaim("sts", "pending")), kind: session, pending: true},
		{name: "expired", line: "Bearer " + r.Jane.Token(clerkauthtest.WithClaim("exp", 1)), kind: session, bad: true},
		{name: "key", line: "Bearer " + r.APIKey.Token, kind: clerkauth.APIKey, subject: r.User.ID},
		{name: "key a", line: "Bearer " + scoped.Token, kind: clerkauth.APIKey, subject: r.User.ID, scopes: []string{"a"}},
		{name: "revoked key", line: "Bearer " + revoked.Token, kind: clerkauth.APIKey, bad: true},
		{name: "m2m", line: "Bearer " + r.M2M.JWT(testkit.LongLived), kind: clerkauth.M2MToken, subject: r.Peer.ID},
		{name: "m2m b", line: "Bearer " + r.M2M.JWT(testkit.LongLived, clerkauthtest.WithClaim("scopes", "b")), kind: clerkauth.M2MToken, subject: r.Peer.ID, scopes: []string{"b"}},
		{name: "oauth a b", line: "Bearer " + other.Token, kind: clerkauth.OAuthToken, subject: r.User.ID, scopes: []string{"a", "b"}},
		{name: "forged oauth", line: "Bearer " + r.OAuth.JWT(clerkauthtest.SignedBy(testkit.OtherKey())), kind: clerkauth.OAuthToken, bad: true},
		{name: "opaque m2m, outage", line: "Bearer mt_0123456789", kind: clerkauth.M2MToken, away: true},
		{name: "foreign", line: "Bearer ghp_0123456789", foreign: true},
	}
	r.Server.Fail(clerkauthtest.M2MVerify, 500)
	random := rand.New(rand.NewPCG(5, 8)) //nolint:gosec // the same each time
	const forHandler = "handler"
	entered, refused, swapped := 0, map[int]int{}, 0
	for range 3000 {
		type layer struct {
			wish
			machines bool
			guard    clerkauth.Middleware
			as       *presenter // the caller that the request is changed to before it
		}
		var nest []layer
		for range 1 + random.IntN(4) {
			l := layer{machines: random.IntN(4) > 0}
			auth := r.Auth
			if !l.machines {
				auth = sessionsAlone
			}
			if random.IntN(8) == 0 {
				l.wish, l.guard = wish{op: forHandler}, auth.Handler
			} else {
				l.wish = randomWish(random, 2, false)
				func() {
					defer func() {
						if recover() != nil {
							l.guard = nil
						}
					}()
					l.guard = auth.Require(l.access())
				}()
			}
			if l.guard == nil {
				continue // it can never be satisfied here
			}
			if random.IntN(3) == 0 {
				l.as = &presenters[random.IntN(len(presenters))]
			}
			nest = append(nest, l)
		}
		who := presenters[random.IntN(len(presenters))]
		trail := who.name
		// The outcome by the model.
		var want []presenter
		status, now := 200, who
		for _, l := range nest {
			if l.as != nil {
				now = *l.as
			}
			of := l.wish
			if of.op == forHandler {
				of = wish{op: "public"}
			}
			decided, s := of.decides(now, l.machines)
			trail += fmt.Sprintf(" → [%s, all kinds %v] %s", now.name, l.machines, func() string {
				if l.op == forHandler {
					return l.op
				}
				return l.access().String()
			}())
			if status = s; s != 200 {
				break
			}
			want = append(want, decided)
		}
		var seen []clerkauth.Auth
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		for _, l := range slices.Backward(nest) {
			next := h
			guarded := l.guard(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				seen = append(seen, clerkauth.FromContext(req.Context()))
				next.ServeHTTP(w, req)
			}))
			h = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if l.as != nil {
					swapped++
					req = req.Clone(req.Context())
					req.Header.Del("Authorization")
					if l.as.line != "" {
						req.Header.Set("Authorization", l.as.line)
					}
				}
				guarded.ServeHTTP(w, req)
			})
		}
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		if who.line != "" {
			req.Header.Set("Authorization", who.line)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != status || len(seen) != len(want) {
			t.Fatalf("%s: %d behind %d guards, want %d behind %d: %s", trail, w.Code, len(seen), status, len(want), w.Body)
		}
		for i, got := range seen {
			if got.TokenType != want[i].kind || got.Subject != want[i].subject || got.SignedIn() != (want[i].kind == session) {
				t.Fatalf("%s: guard %d decided about %s %s, and hands on %s %s", trail, i, want[i].kind, want[i].subject, got.TokenType, got.Subject)
			}
			for _, scope := range []string{"a", "b"} {
				if got.HasScope(scope) != slices.Contains(want[i].scopes, scope) {
					t.Fatalf("%s: guard %d: scope %s", trail, i, scope)
				}
			}
		}
		entered += len(seen)
		refused[status]++
	}
	if entered < 1000 || swapped < 500 || refused[401] < 500 || refused[403] < 50 || refused[503] < 20 {
		t.Errorf("too poor to prove anything: %d entered, %d changed, %v", entered, swapped, refused)
	}
	t.Logf("%d entered, %d changed, %v", entered, swapped, refused)
}

// tree is an Access with checks, and an independent statement of its result.
type tree struct {
	op    byte // '&', '|', 'c' a check, or '0' to '3' for what is known: signed out to allowed
	check int
	parts []tree
}

// value returns the result of t if the checks in met are met.
func (n tree) value(met uint) int {
	switch n.op {
	case 'c':
		if met>>n.check&1 == 1 {
			return 3
		}
		return 1
	case '&', '|':
		best, worst := 0, 3
		for _, part := range n.parts {
			v := part.value(met)
			best, worst = max(best, v), min(worst, v)
		}
		if n.op == '&' {
			return worst
		}
		return best
	}
	return int(n.op - '0')
}

func (n tree) access(checks []clerkauth.Access) clerkauth.Access {
	switch n.op {
	case 'c':
		return checks[n.check]
	case '0':
		return clerkauth.Token(clerkauth.APIKey)
	case '1':
		return clerkauth.Role("owner")
	case '2':
		return clerkauth.ReverifiedStrict
	case '3':
		return clerkauth.Role("admin")
	}
	parts := make([]clerkauth.Access, len(n.parts))
	for i, part := range n.parts {
		parts[i] = part.access(checks)
	}
	if n.op == '&' {
		return clerkauth.AllOf(parts...)
	}
	return clerkauth.AnyOf(parts...)
}

// randomTree uses checks in order of their number; again allows a check to stand in
// two places.
func randomTree(r *rand.Rand, depth int, used *int, again bool) tree {
	if depth == 0 || r.IntN(4) == 0 {
		if *used < 6 && r.IntN(3) > 0 {
			*used++
			return tree{op: 'c', check: *used - 1}
		}
		if again && *used > 0 && r.IntN(2) == 0 {
			return tree{op: 'c', check: r.IntN(*used)}
		}
		return tree{op: "0123"[r.IntN(4)]}
	}
	n := tree{op: "&|"[r.IntN(2)]}
	for range 1 + r.IntN(3) {
		n.parts = append(n.parts, randomTree(r, depth-1, used, again))
	}
	return n
}

// expected returns which checks are called, in order, and the status. Each check
// called is the first on which the outcome depends: for some results of the others
// the outcome differs by its result.
func (n tree) expected(answers []byte) (called string, status int) {
	var known, met uint
	failed := false
	all := uint(1)<<len(answers) - 1
	outcome := func(met uint) int {
		v := n.value(met)
		if failed && v < 3 {
			return 0 // anything but an entry is 503
		}
		return v
	}
	depends := func(c int) bool {
		for others := range all + 1 {
			if others&known == met && outcome(others|1<<c) != outcome(others&^(1<<c)) {
				return true
			}
		}
		return false
	}
	for again := true; again; {
		again = false
		for c := range answers {
			if known>>c&1 == 0 && depends(c) {
				called += string(rune('a' + c))
				known |= 1 << c
				switch answers[c] {
				case 't':
					met |= 1 << c
				case 'e', 'p':
					failed = true
				}
				again = true
				break
			}
		}
	}
	v := n.value(met)
	if failed && v < 3 {
		return called, 503
	}
	return called, []int{401, 403, 403, 200}[v]
}

// TestChecksAgreeWithAModel: for random requirements with checks, the outcome agrees
// with an enumeration, and a check is called only if the outcome depends on it.
func TestChecksAgreeWithAModel(t *testing.T) {
	r := testkit.NewMachineRig(t)
	member := testkit.Bearer(r.Jane.Token(testkit.LongLived, clerkauthtest.WithClaim("fva", []int{99, 99})))
	random := rand.New(rand.NewPCG(13, 21)) //nolint:gosec // the same each time
	statuses, ran := map[int]int{}, 0
	for i := range 8000 {
		used, again := 0, i%4 == 0
		n := randomTree(random, 3, &used, again)
		answers := make([]byte, used)
		called := ""
		checks := make([]clerkauth.Access, used)
		for c := range checks {
			answers[c] = "ttffep"[random.IntN(6)]
			checks[c] = clerkauth.CheckFunc("c", func(context.Context, clerkauth.Auth) (bool, error) {
				called += string(rune('a' + c))
				switch answers[c] {
				case 'p':
					panic("it is gone")
				case 'e':
					return true, errors.New("it is away")
				}
				return answers[c] == 't', nil
			})
		}
		access := n.access(checks)
		var guard clerkauth.Middleware
		func() {
			defer func() { _ = recover() }()
			guard = r.Auth.Require(access)
		}()
		if guard == nil {
			continue // a part of it can never be satisfied
		}
		order, status := n.expected(answers)
		got := testkit.Serve(guard, member)
		if again { // the model does not know which of two places counts
			for c := range checks {
				if strings.Count(called, string(rune('a'+c))) > 1 {
					t.Fatalf("%+v, with results %s: called %q", n, answers, called)
				}
			}
			if strings.ContainsAny(string(answers), "ep") {
				continue // nor which one failed first
			}
		} else if called != order {
			t.Fatalf("%+v, with results %s: called %q, want %q", n, answers, called, order)
		}
		if got.Status != status || got.Entered != (status == 200) {
			t.Fatalf("%+v, with results %s: %d, want %d; called %q", n, answers, got.Status, status, called)
		}
		statuses[status]++
		ran += len(called)
	}
	if ran < 2000 || statuses[200] < 500 || statuses[403] < 500 || statuses[503] < 100 {
		t.Errorf("too poor to prove anything: %d ran, %v", ran, statuses)
	}
	t.Logf("%d ran, %v", ran, statuses)
}
