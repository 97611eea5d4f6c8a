package catalogue

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test which rights a requirement grants.
var _ = addRows(rows{
	"189/role_spellings":           rolesAreCompared,
	"190/permission_prefixes":      permissionsAreCompared,
	"191/empty_requirements":       emptyRequirements,
	"192/one_of_many_missing":      everyRequirementCounts,
	"193/pages_and_roles":          pagesAndRoles,
	"194/no_requirement":           noRequirement,
	"195/check_that_panics":        predicatesThatPanic,
	"196/organization_of_the_path": organizationOfThePath,
	"197/no_active_organization":   noActiveOrganization,
	"198/machine_against_role":     machinesHaveNoRole,
	"200/billing_scope_confusion":  scopesOfBilling,
	"201/reverification_levels":    testkit.Bubble(factorAges),
})

func rolesAreCompared(t *testing.T) {
	r := testkit.NewRig(t)
	for role, status := range map[string]int{
		"admin": 200, "org:admin": 200, "org:org:admin": 200,
		"admin2": 403, "org:admin2": 403, "admin:org": 403, " org:admin": 403, "org: admin": 403, "org:admin ": 403, "ORG:ADMIN": 403, "org:Admin": 403,
		"orgadmin": 403, "org": 403, "org:": 403, "": 403, "member": 403,
	} {
		for _, token := range []string{
			r.Jane.Token(testkit.Organization(map[string]any{"rol": role})),
			r.Jane.Token(clerkauthtest.Version1(), clerkauthtest.WithClaim("org_role", role)),
		} {
			for _, required := range []string{"admin", "org:admin", "org:org:admin"} {
				if r.Want(t, token, status, "", clerkauth.Role(required)); t.Failed() {
					t.Fatalf("required %q, the role is %q", required, role)
				}
			}
		}
	}
	for _, role := range []any{nil, 7, true, []string{"admin"}, map[string]any{"admin": true}} {
		r.Want(t, r.Jane.Token(testkit.Organization(map[string]any{"rol": role})), 403, "", clerkauth.Role("admin"))
	}
}

func permissionsAreCompared(t *testing.T) {
	r := testkit.NewRig(t)
	s := r.Server.SignIn(r.Jane.User, clerkauthtest.InOrganization("acme", "member", "org:posts:read"))
	for _, token := range []string{s.Token(), s.Token(clerkauthtest.Version1())} {
		for required, status := range map[string]int{
			"org:posts:read": 200, "posts:read": 200,
			"org:posts": 403, "posts": 403, "org:posts:": 403, "org:posts:r": 403, "org:posts:read:all": 403, "org:post:read": 403, "read": 403, "org:*": 403, "org:posts:*": 403,
			"ORG:posts:read": 403, "org:posts:READ": 403, " org:posts:read": 403, "org:posts:read,org:posts:write": 403,
		} {
			if r.Want(t, token, status, "", clerkauth.Permission(required)); t.Failed() {
				t.Fatalf("required %q", required)
			}
		}
	}
}

// emptyRequirements: an empty requirement panics at registration and is never met,
// not even by a token that claims it.
func emptyRequirements(t *testing.T) {
	r := testkit.NewRig(t)
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token(clerkauthtest.Version1(),
		clerkauthtest.WithClaim("org_role", "org:"), clerkauthtest.WithClaim("org_permissions", []string{"", "org:", "org:org:", " "}), clerkauthtest.WithClaim("fea", "o:,u:, o:"), clerkauthtest.WithClaim("pla", "o:,u:")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", " ", "org:", "org:org:"} {
		for _, requirement := range []clerkauth.Access{clerkauth.Role(name), clerkauth.Permission(name), clerkauth.Feature(name), clerkauth.Plan(name)} {
			testkit.MustPanic(t, name, func() { r.Auth.Require(requirement) })
			if who.Has(requirement) || who.Has(clerkauth.SignedIn, requirement) {
				t.Errorf("Has(%q)", requirement)
			}
		}
	}
	testkit.MustPanic(t, "nil", func() { r.Auth.Require(nil) })
	if who.Has(nil) || who.Has(clerkauth.SignedIn, nil) {
		t.Error("Has(nil)")
	}
}

// everyRequirementCounts: several requirements are met by a caller who meets each,
// whichever claims a token lacks. Requiring less never denies, requiring more never
// allows.
func everyRequirementCounts(t *testing.T) {
	r := testkit.NewRig(t)
	requirements := []clerkauth.Access{
		clerkauth.SignedIn, clerkauth.Role("admin"), clerkauth.Permission("org:posts:read"), clerkauth.Feature("reports"), clerkauth.Plan("pro"), clerkauth.ReverifiedStrict,
	}
	s := r.Server.SignIn(r.Jane.User, clerkauthtest.InOrganization("acme", "admin", "org:posts:read"),
		clerkauthtest.Features("u:reports"), clerkauthtest.Plans("o:pro"), clerkauthtest.FactorAges(1, 1))
	without := clerkauthtest.WithoutClaim
	none := clerkauth.Auth{}
	for what, token := range map[string]string{
		"all": s.Token(), "no role": s.Token(testkit.Organization(map[string]any{"per": "read", "fpm": "1,1"})), "no permission": s.Token(testkit.Organization(map[string]any{"rol": "admin"})),
		"no feature": s.Token(without("fea")), "no plan": s.Token(without("pla")), "no ages": s.Token(without("fva")), "no organization": s.Token(without("o")),
		"nothing": s.Token(without("o"), without("fea"), without("pla"), without("fva")),
	} {
		who, err := r.Auth.VerifyToken(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		for set := 1; set < 1<<len(requirements); set++ {
			var list []clerkauth.Access
			each := true
			for i, d := range requirements {
				if set&(1<<i) != 0 {
					list = append(list, d)
					each = each && who.Has(d)
				}
			}
			if who.Has(list...) != each || none.Has(list...) {
				t.Errorf("%s: Has(%v) is %v", what, list, !each)
			}
			r.Want(t, token, map[bool]int{true: 200, false: 403}[each], "", list...)
			r.Want(t, "", 401, clerkauth.ErrTokenMissing, list...)
		}
		missing := 0
		for _, d := range requirements {
			if !who.Has(d) {
				missing++
			}
		}
		if (missing == 0) != (what == "all") {
			t.Errorf("%s: %d requirements are not met", what, missing)
		}
	}
}

// pagesAndRoles: redirecting pages to sign-in does not weaken a role.
func pagesAndRoles(t *testing.T) {
	r := testkit.NewRig(t, func(c *clerkauth.Config) { c.Browser.SignInURL, c.Browser.SignUpURL = "/sign-in", "/sign-up" })
	owner := r.Auth.Require(clerkauth.Role("owner"))
	testkit.WantReply(t, testkit.Serve(owner, testkit.AsPage), 303, "")
	testkit.WantReply(t, testkit.Serve(owner, testkit.AsPage, testkit.Bearer(r.Jane.Token())), 403, clerkauth.ErrForbidden)
	testkit.WantReply(t, testkit.Serve(owner, testkit.AsPage, testkit.Bearer(r.Jane.Token(testkit.Organization(map[string]any{"rol": "owner"})))), 200, "")
}

// noRequirement: a guard without requirements requires a session; Has without
// requirements is false.
func noRequirement(t *testing.T) {
	r := testkit.NewRig(t)
	r.Want(t, r.Jane.Token(), 200, "")
	r.Want(t, r.Jane.Token(clerkauthtest.WithoutClaim("o")), 200, "")
	r.Want(t, "", 401, clerkauth.ErrTokenMissing)
	r.Want(t, "", 200, "", clerkauth.Public)
	none := []clerkauth.Access{}
	r.Want(t, "", 401, clerkauth.ErrTokenMissing, none...)
	testkit.MustPanic(t, "any of nothing", func() { r.Auth.Require(clerkauth.AnyOf()) })
	testkit.MustPanic(t, "all of nothing", func() { r.Auth.Require(clerkauth.AllOf()) })
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil || who.Has() || who.Has(none...) || !who.Has(clerkauth.SignedIn) || (clerkauth.Auth{}).Has(clerkauth.Public) {
		t.Errorf("%v: Has() is %v", err, who.Has())
	}
}

// predicatesThatPanic: a check that panics is an outage, not a refusal, and is
// logged once without the caller's data.
func predicatesThatPanic(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t)
	r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	yes := func(clerkauth.Auth) bool { return true }
	for what, c := range map[string]struct {
		requirement clerkauth.Access
		status      int
		logs        int
	}{
		"holds":                {clerkauth.CheckFunc("x", testkit.Predicate(yes)), 200, 0},
		"does not":             {clerkauth.CheckFunc("x", testkit.Predicate(func(clerkauth.Auth) bool { return false })), 403, 0},
		"panics":               {clerkauth.CheckFunc("x", testkit.Predicate(func(who clerkauth.Auth) bool { panic(who.UserID) })), 503, 1},
		"panics by an error":   {clerkauth.CheckFunc("x", testkit.Predicate(func(who clerkauth.Auth) bool { panic(errors.New(who.UserID)) })), 503, 1},
		"panics on an index":   {clerkauth.CheckFunc("x", testkit.Predicate(func(who clerkauth.Auth) bool { return who.Permissions()[99] == "" })), 503, 1},
		"aborts":               {clerkauth.CheckFunc("x", testkit.Predicate(func(clerkauth.Auth) bool { panic(http.ErrAbortHandler) })), 503, 1},
		"panics, all of":       {clerkauth.AllOf(clerkauth.SignedIn, clerkauth.CheckFunc("x", testkit.Predicate(func(clerkauth.Auth) bool { panic(0) }))), 503, 1},
		"panics, another does": {clerkauth.AnyOf(clerkauth.CheckFunc("x", testkit.Predicate(func(clerkauth.Auth) bool { panic(0) })), clerkauth.CheckFunc("y", testkit.Predicate(yes))), 200, 1},
	} {
		logged.Reset()
		r.Want(t, r.Jane.Token(), c.status, "", c.requirement)
		if n := strings.Count(logged.String(), "level=ERROR"); n != c.logs || strings.Contains(logged.String(), r.Jane.User.ID) {
			t.Errorf("%s: %d errors were logged:\n%s", what, n, &logged)
		}
		r.Want(t, "", 401, clerkauth.ErrTokenMissing, clerkauth.AllOf(clerkauth.SignedIn, clerkauth.CheckFunc("x", testkit.Predicate(yes))))
	}
	logged.Reset()
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil || who.Has(clerkauth.CheckFunc("x", testkit.Predicate(func(clerkauth.Auth) bool { panic(0) }))) || strings.Count(logged.String(), "level=ERROR") != 1 || !who.Has(clerkauth.CheckFunc("x", testkit.Predicate(yes))) {
		t.Error("a panic is granted by Has, or nothing is", err)
	}
}

// organizationOfThePath: a role in one organization counts in no other.
func organizationOfThePath(t *testing.T) {
	r := testkit.NewRig(t)
	acme, other := r.Jane.Organization, r.Server.CreateOrganization("other")
	without := r.Jane.Token(clerkauthtest.WithoutClaim("o"))
	mux := http.NewServeMux()
	mux.Handle("/orgs/{org}/x", r.Auth.Require(clerkauth.Role("admin"), clerkauth.OrganizationParam("org")).Func(testkit.Hello))
	mux.Handle("/noorg/x", r.Auth.Require(clerkauth.OrganizationParam("org")).Func(testkit.Hello))
	for path, status := range map[string]int{
		"/orgs/acme/x": 200, "/orgs/" + acme.ID + "/x": 200, "/orgs/%61cme/x": 200,
		"/orgs/other/x": 403, "/orgs/" + other.ID + "/x": 403, "/orgs/ACME/x": 403, "/orgs/acme%2f..%2fother/x": 403, "/orgs/acme%00/x": 403, "/orgs/%20acme/x": 403, "/orgs/admin/x": 403,
		"/noorg/x": 403, "/noorg/x?org=acme": 403, "/orgs/other/x?org=acme": 403,
	} {
		send := func(token string) testkit.Reply {
			req := httptest.NewRequest(http.MethodGet, path, nil)
			testkit.Bearer(token)(req)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			return testkit.Reply{Status: w.Code, Header: w.Header(), Body: w.Body.String(), Entered: strings.HasPrefix(w.Body.String(), "hello")}
		}
		if testkit.WantReply(t, send(r.Jane.Token()), status, ""); t.Failed() {
			t.Fatal(path)
		}
		testkit.WantReply(t, send(without), 403, clerkauth.ErrForbidden)
		testkit.WantReply(t, send(r.Jane.Token(testkit.Organization(map[string]any{"id": "", "slg": "acme", "rol": "admin"}))), 403, clerkauth.ErrForbidden)
		testkit.WantReply(t, send(""), 401, clerkauth.ErrTokenMissing)
	}
}

func noActiveOrganization(t *testing.T) {
	r := testkit.NewRig(t)
	without, v1 := clerkauthtest.WithoutClaim, clerkauthtest.Version1()
	role := clerkauthtest.WithClaim("org_role", "org:admin")
	list := clerkauthtest.WithClaim("org_permissions", []string{"org:posts:read"})
	members := map[string]any{"rol": "admin", "per": "read", "fpm": "1"}
	requirements := []clerkauth.Access{clerkauth.Role("admin"), clerkauth.Permission("org:posts:read")}
	fea := clerkauthtest.WithClaim("fea", "o:posts")
	for what, c := range map[string]struct {
		token  string
		status int
	}{
		"v2":                         {r.Jane.Token(fea, testkit.Organization(members)), 200},
		"v1":                         {r.Jane.Token(v1, role, list), 200},
		"v2 without o":               {r.Jane.Token(fea, without("o")), 403},
		"v2 with o of null":          {r.Jane.Token(fea, clerkauthtest.WithClaim("o", nil)), 403},
		"v2 with o of nothing":       {r.Jane.Token(fea, clerkauthtest.WithClaim("o", map[string]any{})), 403},
		"v2 with a list for o":       {r.Jane.Token(fea, clerkauthtest.WithClaim("o", []any{members})), 403},
		"v2 without id":              {r.Jane.Token(fea, clerkauthtest.WithClaim("o", members)), 403},
		"v2 with an empty id":        {r.Jane.Token(fea, testkit.Organization(members), testkit.Organization(map[string]any{"id": "", "rol": "admin"})), 403},
		"v2 with a number for id":    {r.Jane.Token(fea, testkit.Organization(map[string]any{"id": 7, "rol": "admin", "per": "read", "fpm": "1"})), 403},
		"v2 with v1's claims":        {r.Jane.Token(fea, without("o"), clerkauthtest.WithClaim("org_id", "org_1"), role, list), 403},
		"v1 with v2's claims":        {r.Jane.Token(v1, without("org_id"), without("org_role"), fea, testkit.Organization(members)), 403},
		"v1 without id":              {r.Jane.Token(v1, role, list, without("org_id")), 403},
		"v1 with an empty id":        {r.Jane.Token(v1, role, list, clerkauthtest.WithClaim("org_id", "")), 403},
		"v1 with null for id":        {r.Jane.Token(v1, role, list, clerkauthtest.WithClaim("org_id", nil)), 403},
		"another version":            {r.Jane.Token(fea, clerkauthtest.WithClaim("v", 3), testkit.Organization(members), clerkauthtest.WithClaim("org_id", "org_1"), role, list), 403},
		"a version that is a string": {r.Jane.Token(fea, clerkauthtest.WithClaim("v", "2"), testkit.Organization(members), clerkauthtest.WithClaim("org_id", "org_1"), role, list), 403},
	} {
		for _, d := range requirements {
			if r.Want(t, c.token, c.status, "", d); t.Failed() {
				t.Fatalf("%s: %s", what, d)
			}
		}
		r.Want(t, c.token, 200, "") // still a signed-in user
		who, err := r.Auth.VerifyToken(t.Context(), c.token)
		if err != nil || c.status == 403 && (who.OrgID != "" || who.OrgSlug != "" || who.OrgRole != "" || len(who.Permissions()) != 0) {
			t.Errorf("%s: %+v, %v, %v", what, who, who.Permissions(), err)
		}
	}
	if (clerkauth.Auth{UserID: "user_1", OrgRole: "org:admin"}).Has(clerkauth.Role("admin")) {
		t.Error("a role made by hand counts without an organization")
	}
}

// machinesHaveNoRole: machines meet no requirement on a session.
func machinesHaveNoRole(t *testing.T) {
	r := testkit.NewRig(t)
	for _, token := range []string{
		"ak_0123456789abcdef", "mt_0123456789abcdef", "oat_0123456789abcdef", "ak_", "mt_" + r.Jane.Token(),
		r.Jane.Token(clerkauthtest.WithClaim("sub", "mch_1")), r.Jane.Token(clerkauthtest.WithHeader("cat", "cl_B7d4PD333AAA")), r.Jane.Token(clerkauthtest.WithHeader("cat", "cl_B7d4PD222AAA")),
		r.Jane.Token(clerkauthtest.WithHeader("typ", "at+jwt")), r.Jane.Token(clerkauthtest.WithHeader("typ", "application/at+jwt")),
		r.Jane.TemplateToken("x", map[string]any{"sid": r.Jane.ID, "v": 2, "o": map[string]any{"id": "org_1", "rol": "admin"}}),
	} {
		for _, requirement := range []clerkauth.Access{clerkauth.SignedIn, clerkauth.Role("admin")} {
			r.Want(t, token, 401, clerkauth.ErrTokenType, requirement)
		}
	}
	r.Want(t, r.Jane.Token(), 200, "", clerkauth.Role("admin"))
}

func scopesOfBilling(t *testing.T) {
	r := testkit.NewRig(t)
	for _, c := range []struct {
		has, required string
		status        int
	}{
		{"u:pro", "o:pro", 403}, {"o:pro", "u:pro", 403}, {"u:pro", "org:pro", 403}, {"o:pro", "user:pro", 403}, {"u:pro", "organization:pro", 403},
		{"u:basic", "pro", 403}, {"u:pro2", "pro", 403}, {"u:pro", "pro2", 403}, {"u:pro", "PRO", 403}, {"u:Pro", "pro", 403}, {"U:pro", "pro", 403},
		{"pro", "pro", 403}, {"u:pro,pro", "pro", 403}, {"x:pro", "pro", 403}, {"user:pro", "pro", 403}, {"u :pro", "pro", 403}, {"", "pro", 403}, {"u:pro:x", "pro", 403},
		{"u:pro", "pro", 200}, {"o:pro", "pro", 200}, {"o:pro", "o:pro", 200}, {"o:pro", "org:pro", 200}, {"o:pro", "organization:pro", 200}, {"u:pro", "u:pro", 200}, {"u:pro", "user:pro", 200},
		{"ou:pro", "o:pro", 200}, {"uo:pro", "u:pro", 200}, {"x:pro, o:pro", "pro", 200},
	} {
		for claimed, requirement := range map[string]clerkauth.Access{"pla": clerkauth.Plan(c.required), "fea": clerkauth.Feature(c.required)} {
			status := c.status
			if claimed == "fea" && (c.has == "pro" || c.has == "u:pro,pro") {
				status = 503 // beside an organization; see row 75
			}
			if r.Want(t, r.Jane.Token(clerkauthtest.WithClaim(claimed, c.has)), status, "", requirement); t.Failed() {
				t.Fatalf("has %s %q, required %q", claimed, c.has, c.required)
			}
		}
	}
	for _, malformed := range []any{nil, 7, []string{"o:pro"}, map[string]any{"o": "pro"}} {
		r.Want(t, r.Jane.Token(clerkauthtest.WithClaim("pla", malformed)), 403, "", clerkauth.Plan("pro"))
	}
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token(clerkauthtest.WithClaim("pla", "x:pro,o:pro,u:pro,o:o:pro"), clerkauthtest.WithClaim("fea", "x:pro,o:pro,u:pro")))
	if err != nil {
		t.Fatal(err)
	}
	for _, invalid := range []string{"x:pro", ":pro", "O:pro", "u o:pro", "ou:pro", "o:o:pro", "o:"} {
		for _, requirement := range []clerkauth.Access{clerkauth.Plan(invalid), clerkauth.Feature(invalid)} {
			testkit.MustPanic(t, invalid, func() { r.Auth.Require(requirement) })
			if who.Has(requirement) {
				t.Errorf("Has(%s)", requirement)
			}
		}
	}
}

// factorAges checks the presets strict_mfa, strict, moderate and lax; T is allowed.
// The ages in a token count from when it, or the first token of its lineage, was
// created.
func factorAges(t *testing.T) {
	r := testkit.NewRig(t)
	presets := []clerkauth.Access{clerkauth.ReverifiedStrictMFA, clerkauth.ReverifiedStrict, clerkauth.ReverifiedModerate, clerkauth.ReverifiedLax}
	check := func(what string, token, want string) {
		t.Helper()
		for i, preset := range presets {
			status, reason := 200, clerkauth.Reason("")
			if want[i] == 'F' {
				status = 403
			}
			got := r.Want(t, token, status, reason, preset)
			if status == 403 && !strings.Contains(got.Body, "reverification-error") || t.Failed() {
				t.Fatalf("%s, %s: %v", what, preset, got)
			}
		}
	}
	for fva, want := range map[[2]int]string{
		{9, 9}: "TTTT", {10, 10}: "FFTT", {0, -1}: "TTTT", {-1, 0}: "FTTT", {-1, -1}: "FFFF",
		{0, 0}: "TTTT", {5, 30}: "FFTT", {10, 9}: "FTTT", {9, 10}: "FFTT", {59, 60}: "FFFT", {60, 59}: "FFTT", {1439, -1}: "FFFT", {1440, -1}: "FFFF", {10, -1}: "FFTT",
	} {
		check(fmt.Sprint(fva), r.Jane.Token(clerkauthtest.WithClaim("fva", fva[:])), want)
	}
	for _, malformed := range []any{nil, 0, "0,0", []int{0}, []int{0, 0, 0}, []any{}, []any{0, nil}, []any{"0", 0}, []int{-2, 0}, []int{0, -2}, []float64{0, -1.5}, []float64{-0.5, 0}, map[string]int{"0": 0, "1": 0}} {
		check(fmt.Sprint(malformed), r.Jane.Token(clerkauthtest.WithClaim("fva", malformed)), "FFFF")
	}
	check("absent", r.Jane.Token(clerkauthtest.WithoutClaim("fva")), "FFFF")
	check("no time to count from", r.Jane.Token(clerkauthtest.WithClaim("fva", []int{0, 0}), clerkauthtest.WithoutClaim("iat")), "FFFF")
	now := r.Server.Now().Unix()
	for age, want := range map[int64]string{0: "TTTT", 58: "TTTT", 5 * 60: "TTTT", 9*60 + 58: "TTTT", 10 * 60: "FFTT", 59 * 60: "FFTT", 60 * 60: "FFFT", 24 * 60 * 60: "FFFF", -60: "TTTT"} {
		check(fmt.Sprint("oiat, ", age), r.Jane.Token(clerkauthtest.WithClaim("fva", []int{0, 0}), clerkauthtest.WithHeader("oiat", now-age)), want)
	}
	last := r.Jane.Token(clerkauthtest.WithClaim("fva", []int{9, 9}), clerkauthtest.ExpiresIn(time.Hour))
	check("at first", last, "TTTT")
	r.Server.Advance(time.Minute)
	check("a minute later", last, "FFTT")
}
