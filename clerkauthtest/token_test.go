package clerkauthtest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// decoded returns the header and the claims of token.
func decoded(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// claimsOf returns the claims of token, whose signature go-jose has verified.
func claimsOf(t *testing.T, srv *clerkauthtest.Server, token string) map[string]any {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify(&srv.Key().PublicKey); err != nil {
		t.Fatal(err)
	}
	_, claims := decoded(t, token)
	return claims
}

// same compares decoded JSON with the expected value.
func same(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	want = nil
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: %s is %v, want %v", what, name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: there is a %s: %v", what, name, got[name])
		}
	}
}

func TestToken(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	srv.Advance(-time.Hour)
	session := signIn(srv,
		clerkauthtest.InOrganization("acme", "org:admin", "org:repos:read", "org:projects:read", "org:projects:delete"),
		clerkauthtest.Features("o:reports", "u:beta", "o:repos"),
		clerkauthtest.Plans("u:pro"),
		clerkauthtest.ImpersonatedBy("user_support"),
		clerkauthtest.FactorAges(5, -1),
	)
	session.Organization.SetRole("admin", "org:repos:create")
	session.Organization.SetFeatures("audit")
	session.Organization.SetPlans("team")

	token := session.Token()
	header, claims := decoded(t, token)
	same(t, "header", header, map[string]any{"alg": "RS256", "typ": "JWT", "kid": srv.KeyID(), "cat": "cl_B7d4PD111AAA"})
	iat := int64(claims["iat"].(float64))
	if d := srv.Now().Unix() - iat; d < 0 || d > 5 {
		t.Errorf("iat is %d s ago", d)
	}
	jti, _ := claims["jti"].(string)
	delete(claims, "jti")
	common := map[string]any{
		"iss": srv.Issuer(), "azp": srv.Origin(), "sub": session.User.ID, "sid": session.ID, "sts": "active",
		"iat": iat, "nbf": iat - 10, "exp": iat + 60, "fva": []int{5, -1}, "act": map[string]any{"sub": "user_support"},
	}
	v2 := maps.Clone(common)
	v2["v"] = 2
	v2["fea"] = "o:reports,u:beta,o:repos,o:audit,o:projects"
	v2["pla"] = "u:pro,o:team"
	v2["o"] = map[string]any{
		"id": session.Organization.ID, "slg": "acme", "rol": "admin",
		"per": "create,read,delete", "fpm": "0,3,0,6",
	}
	same(t, "version 2", claims, v2)

	_, claims = decoded(t, session.Token(clerkauthtest.Version1(), clerkauthtest.WithClaim("iat", iat),
		clerkauthtest.WithClaim("nbf", iat-10), clerkauthtest.WithClaim("exp", iat+60)))
	if claims["jti"] == jti || jti == "" {
		t.Errorf("jti is %v, and was %q", claims["jti"], jti)
	}
	delete(claims, "jti")
	v1 := maps.Clone(common)
	v1["org_id"], v1["org_slug"], v1["org_role"] = session.Organization.ID, "acme", "org:admin"
	v1["org_permissions"] = []string{"org:repos:create", "org:repos:read", "org:projects:read", "org:projects:delete"}
	same(t, "version 1", claims, v1)
}

func TestTokenWithoutOrganization(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for name, opts := range map[string][]clerkauthtest.TokenOption{"version 2": nil, "version 1": {clerkauthtest.Version1()}} {
		claims := claimsOf(t, srv, signIn(srv).Token(opts...))
		for _, absent := range []string{"o", "fea", "pla", "act", "org_id", "org_slug", "org_role", "org_permissions"} {
			if value, ok := claims[absent]; ok {
				t.Errorf("%s: %s is %v", name, absent, value)
			}
		}
	}
	org := claimsOf(t, srv, signIn(srv, clerkauthtest.InOrganization("acme", "member")).Token())["o"].(map[string]any)
	if org["per"] != nil || org["fpm"] != nil {
		t.Errorf("a member without permissions: %v", org)
	}
}

func TestSessionsAsTheyAreSeen(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	session := signIn(srv,
		clerkauthtest.InOrganization("acme", "admin", "org:invoices:create"),
		clerkauthtest.Features("o:reports", "u:beta", "uo:search"), clerkauthtest.Plans("u:pro"),
		clerkauthtest.ImpersonatedBy("user_support"))
	who := mustVerify(t, auth, session.Token())
	if who.OrgID != session.Organization.ID || who.OrgSlug != "acme" || who.OrgRole != "org:admin" ||
		who.Actor.ID != "user_support" || who.SessionStatus != clerkauth.SessionActive {
		t.Errorf("%+v", who)
	}
	for _, access := range []clerkauth.Access{
		clerkauth.Role("org:admin"), clerkauth.Permission("org:invoices:create"),
		clerkauth.Feature("org:reports"), clerkauth.Feature("user:beta"),
		clerkauth.Feature("user:search"), clerkauth.Feature("org:search"), clerkauth.Plan("user:pro"),
	} {
		if !who.Has(access) {
			t.Errorf("%v is not met", access)
		}
	}
	if who.Has(clerkauth.Permission("org:reports:create")) || who.Has(clerkauth.Feature("org:beta")) {
		t.Error("more is met than was given")
	}
	if other := signIn(srv, clerkauthtest.InOrganization("acme", "admin")); other.Organization != session.Organization ||
		srv.CreateOrganization("acme") != session.Organization {
		t.Error("acme is two organizations")
	}
}

func TestPending(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	token := signIn(srv, clerkauthtest.Pending()).Token()
	refused(t, testkit.NewAuth(t, srv), token, clerkauth.ErrSessionPending)
	who := mustVerify(t, testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.AllowPending = true }), token)
	if who.SessionStatus != clerkauth.SessionPending {
		t.Errorf("status is %q", who.SessionStatus)
	}
}

func TestFactorAges(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	for _, c := range []struct {
		opts        []clerkauthtest.SessionOption
		then, later []any
	}{
		{nil, []any{0., -1.}, []any{3., -1.}},
		{[]clerkauthtest.SessionOption{clerkauthtest.FactorAges(8, 2)}, []any{8., 2.}, []any{11., 5.}},
		{[]clerkauthtest.SessionOption{clerkauthtest.FactorAges(-1, -1)}, []any{-1., -1.}, []any{-1., -1.}},
	} {
		session := signIn(srv, c.opts...)
		if got := claimsOf(t, srv, session.Token())["fva"]; !reflect.DeepEqual(got, c.then) {
			t.Errorf("fva is %v, want %v", got, c.then)
		}
		srv.Advance(3 * time.Minute)
		if got := claimsOf(t, srv, session.Token())["fva"]; !reflect.DeepEqual(got, c.later) {
			t.Errorf("fva is %v 3 minutes later, want %v", got, c.later)
		}
	}
	session := signIn(srv, clerkauthtest.FactorAges(8, 8))
	if !mustVerify(t, auth, session.Token()).Has(clerkauth.ReverifiedStrict) {
		t.Error("8 minutes are not fresh")
	}
	srv.Advance(3 * time.Minute)
	if mustVerify(t, auth, session.Token()).Has(clerkauth.ReverifiedStrict) {
		t.Error("11 minutes are fresh")
	}
}

func TestTokenOptions(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	other := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	session := signIn(srv)
	for name, c := range map[string]struct {
		opt    clerkauthtest.TokenOption
		reason clerkauth.Reason // "": accepted
	}{
		"Version1":          {clerkauthtest.Version1(), ""},
		"WithoutParty":      {clerkauthtest.WithoutParty(), clerkauth.ErrTokenParty},
		"ExpiresIn":         {clerkauthtest.ExpiresIn(-time.Hour), clerkauth.ErrTokenExpired},
		"WithClaim":         {clerkauthtest.WithClaim("iss", other.Issuer()), clerkauth.ErrTokenIssuer},
		"WithoutClaim":      {clerkauthtest.WithoutClaim("sid"), clerkauth.ErrTokenClaims},
		"WithHeader":        {clerkauthtest.WithHeader("typ", "X"), clerkauth.ErrTokenInvalid},
		"WithHeader alg":    {clerkauthtest.WithHeader("alg", "none"), clerkauth.ErrTokenAlgorithm},
		"WithHeader b64":    {clerkauthtest.WithHeader("b64", false), clerkauth.ErrTokenInvalid},
		"WithoutHeader":     {clerkauthtest.WithoutHeader("kid"), clerkauth.ErrUnknownKey},
		"WithoutHeader cat": {clerkauthtest.WithoutHeader("cat"), ""},
		"SignedBy":          {clerkauthtest.SignedBy(other.Key()), clerkauth.ErrTokenSignature},
		"SignedBy ours":     {clerkauthtest.SignedBy(srv.Key()), ""},
		"WithKeyID":         {clerkauthtest.WithKeyID("ins_none"), clerkauth.ErrUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			if token := session.Token(c.opt); c.reason != "" {
				refused(t, auth, token, c.reason)
			} else {
				mustVerify(t, auth, token)
			}
		})
	}

	token := session.Token(clerkauthtest.ExpiresIn(time.Hour), clerkauthtest.WithClaim("team", "red"))
	who := mustVerify(t, auth, token)
	if who.ExpiresAt.Sub(who.IssuedAt) != time.Hour {
		t.Errorf("it expires after %v", who.ExpiresAt.Sub(who.IssuedAt))
	}
	custom, err := clerkauth.ClaimsAs[struct{ Team string }](who)
	if err != nil || custom.Team != "red" {
		t.Errorf("team is %q, %v", custom.Team, err)
	}
	header, _ := decoded(t, session.Token(clerkauthtest.WithoutHeader("alg"), clerkauthtest.WithHeader("crit", []string{"x"})))
	same(t, "header", header, map[string]any{"typ": "JWT", "kid": srv.KeyID(), "cat": "cl_B7d4PD111AAA", "crit": []string{"x"}})
}

func TestSign(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	header, claims := decoded(t, signIn(srv).Token())
	mustVerify(t, auth, srv.Sign(header, claims))

	for _, header := range []map[string]any{
		{"alg": "RS256", "x": 1}, {"alg": "RS512"}, {"alg": "RS256", "b64": false}, {"alg": "RS256", "b64": "x"},
	} {
		gotHeader, gotClaims := decoded(t, srv.Sign(header, map[string]any{"y": "z"}))
		same(t, "header", gotHeader, header)
		same(t, "claims", gotClaims, map[string]any{"y": "z"})
	}
	gotHeader, _ := decoded(t, srv.Sign(nil, nil))
	same(t, "header", gotHeader, nil)

	rawHeader, rawClaims := []byte(testkit.JSON(header)), []byte(testkit.JSON(claims))
	mustVerify(t, auth, srv.SignRaw(rawHeader, rawClaims))
	refused(t, auth, srv.SignRaw(rawHeader, []byte("not JSON")), clerkauth.ErrTokenInvalid)
	if token := srv.SignRaw([]byte("a"), []byte{0xff}); !strings.HasPrefix(token, "YQ._w.") {
		t.Errorf("token is %s", token)
	}
}

func TestTemplateToken(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	srv.CreateTemplate("hasura", map[string]any{"role": "user", "aud": "hasura"})
	token := session.TemplateToken("hasura", map[string]any{"role": "admin"})
	refused(t, testkit.NewAuth(t, srv), token, clerkauth.ErrTokenType)

	header, _ := decoded(t, token)
	if header["cat"] != "cl_B7d4PD222AAA" {
		t.Errorf("cat is %v", header["cat"])
	}
	claims := claimsOf(t, srv, token)
	if claims["sub"] != session.User.ID || claims["role"] != "admin" || claims["aud"] != "hasura" {
		t.Errorf("claims are %v", claims)
	}
	for _, absent := range []string{"sid", "sts", "fva", "v"} {
		if _, ok := claims[absent]; ok {
			t.Errorf("there is a %s", absent)
		}
	}
	refused(t, testkit.NewAuth(t, srv), session.TemplateToken("unheard-of", nil), clerkauth.ErrTokenType)
}

func TestSignOut(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	token := session.Token()
	session.SignOut()
	mustVerify(t, testkit.NewAuth(t, srv), token)
	testkit.MustPanic(t, "Token", func() { session.Token() })
	testkit.MustPanic(t, "TemplateToken", func() { session.TemplateToken("t", nil) })
}

// TestPermissionsRoundTrip writes random permissions and reads them back through
// clerkauth, which has a decoder of its own.
func TestPermissionsRoundTrip(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var permissions []string
		for range random.IntN(120) {
			permissions = append(permissions, fmt.Sprintf("org:f%d:p%d", random.IntN(8), random.IntN(90)))
		}
		session := signIn(srv, clerkauthtest.Features("u:f0", "o:f3", "ou:f1"),
			clerkauthtest.InOrganization("acme", "admin", permissions...))
		slices.Sort(permissions)
		want := slices.Compact(permissions)
		for _, opts := range [][]clerkauthtest.TokenOption{nil, {clerkauthtest.Version1()}} {
			got := mustVerify(t, auth, session.Token(opts...)).Permissions()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("got  %v\nwant %v", got, want)
			}
		}
	}
}

func TestInvalidArgumentsPanic(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for name, f := range map[string]func(){
		"permission without feature": func() { clerkauthtest.InOrganization("acme", "admin", "org:create") },
		"permission without prefix":  func() { srv.CreateOrganization("acme").SetRole("admin", "invoices:create") },
		"empty role":                 func() { clerkauthtest.InOrganization("acme", "org:") },
		"feature without scope":      func() { clerkauthtest.Features("reports") },
		"two plans in one":           func() { clerkauthtest.Plans("u:a,u:b") },
		"invalid age":                func() { clerkauthtest.FactorAges(-2, 0) },
		"no status":                  func() { srv.Fail(clerkauthtest.JWKS, 0) },
		"no constant":                func() { srv.Fail(clerkauthtest.JWKS, -99) },
		"template without name":      func() { signIn(srv).TemplateToken("", nil) },
	} {
		testkit.MustPanic(t, name, f)
	}
}
