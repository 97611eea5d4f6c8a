package clerkauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/json"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/apikey"
	"github.com/clerk/clerk-sdk-go/v2/m2m_token"
	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestMachineIdentity: a handler sees a machine's identity, for both forms of a
// credential.
func TestMachineIdentity(t *testing.T) {
	r := testkit.NewMachineRig(t)
	acme := r.Server.CreateOrganization("acme")
	orgKey := r.Server.CreateAPIKey(acme)
	r.APIKey.SetClaims(map[string]any{"tier": "gold"})
	r.APIKey.SetExpiration(r.Server.Now().Add(time.Hour))
	r.M2M.SetClaims(map[string]any{"tier": "gold"})
	type custom struct{ Tier string }
	for name, c := range map[string]struct {
		token, subject, userID, orgID, machineID, clientID, id, tier string
		scopes                                                       []string
		expires                                                      bool
	}{
		"API key":            {r.APIKey.Token, r.User.ID, r.User.ID, "", "", "", r.APIKey.ID, "gold", []string{"reports:read", "reports:write"}, true},
		"API key JWT":        {r.APIKey.JWT(), r.User.ID, r.User.ID, "", "", "", r.APIKey.ID, "gold", []string{"reports:read", "reports:write"}, true},
		"organization":       {orgKey.Token, acme.ID, "", acme.ID, "", "", orgKey.ID, "", nil, false},
		"organization's JWT": {orgKey.JWT(), acme.ID, "", acme.ID, "", "", orgKey.ID, "", nil, true},
		"M2M":                {r.M2M.Token, r.Peer.ID, "", "", r.Peer.ID, "", r.M2M.ID, "gold", []string{r.Here.ID}, true},
		"M2M JWT":            {r.M2M.JWT(), r.Peer.ID, "", "", r.Peer.ID, "", r.M2M.ID, "gold", []string{r.Here.ID}, true},
		"OAuth":              {r.OAuth.Token, r.User.ID, r.User.ID, "", "", "client_1", r.OAuth.ID, "", []string{"notes:read"}, true},
		"OAuth JWT":          {r.OAuth.JWT(), r.User.ID, r.User.ID, "", "", "client_1", r.OAuth.ID, "", []string{"notes:read"}, true},
	} {
		var who clerkauth.Auth
		guard := r.Auth.Handler(r.Auth.Require(testkit.AnyCredential).Func(func(_ http.ResponseWriter, req *http.Request) { who = clerkauth.FromContext(req.Context()) }))
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(c.token)(req)
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, req)
		if w.Code != 200 || who.Subject != c.subject || who.UserID != c.userID || who.OrgID != c.orgID || who.MachineID != c.machineID ||
			who.ClientID != c.clientID || who.TokenID != c.id || who.SessionID != "" || who.SignedIn() || who.Err() != nil {
			t.Errorf("%s: %d %+v", name, w.Code, who)
		}
		if got := who.Scopes(); len(got) != len(c.scopes) || len(got) > 0 && !reflect.DeepEqual(got, c.scopes) || who.HasScope(c.scopes...) != (len(c.scopes) > 0) ||
			who.HasScope(append(c.scopes, "other")...) || who.HasScope() {
			t.Errorf("%s: scopes %q", name, got)
		}
		if who.ExpiresAt.IsZero() == c.expires || who.IssuedAt.IsZero() {
			t.Errorf("%s: from %v to %v", name, who.IssuedAt, who.ExpiresAt)
		}
		if claims, err := clerkauth.ClaimsAs[custom](who); err != nil || claims.Tier != c.tier {
			t.Errorf("%s: claims %+v, %v", name, claims, err)
		}
		if kind := clerkauth.Token(who.TokenType); !who.Has(kind) || len(c.scopes) > 0 && !who.Has(clerkauth.Token(who.TokenType, clerkauth.Scope(c.scopes[0]))) || who.Has(clerkauth.Token(who.TokenType, clerkauth.Scope("other"))) {
			t.Errorf("%s: it does not have what it has", name)
		}
		// It is not a user.
		if who.Has(clerkauth.SignedIn) || who.Has(clerkauth.NotImpersonated) || who.Has(clerkauth.Role("admin")) || who.Permissions() != nil {
			t.Errorf("%s: it has what users have", name)
		}
		if _, err := r.Auth.GetToken(t.Context(), who, ""); !errors.Is(err, clerkauth.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMachinesDoNotPrint: no value that users receive prints a credential or a
// claim, with any verb.
func TestMachinesDoNotPrint(t *testing.T) {
	r := testkit.NewMachineRig(t)
	r.APIKey.SetClaims(map[string]any{"private": "a claim's value"})
	for _, token := range []string{r.APIKey.Token, r.APIKey.JWT(), r.OAuth.Token, r.M2M.JWT(), "ak_unknown", r.Jane.Token(clerkauthtest.WithClaim("private", "a claim's value"))} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		ctx, err := r.Auth.Check(req, testkit.AnyCredential)
		var inside any
		r.Auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { inside = q.Context() })).ServeHTTP(httptest.NewRecorder(), req)
		state := r.Auth.Authenticate(req)
		for _, v := range []any{state, &state, state.Auth(), state.Err(), ctx, inside, err, clerkauth.FromContext(ctx), []any{state, ctx}, *r.Auth, testkit.AnyCredential} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%p"} {
				shown := fmt.Sprintf(verb, v)
				for _, secret := range []string{token, fmt.Sprintf("%x", token), "a claim's value", fmt.Sprint([]byte("a claim's value"))[1:], fmt.Sprintf("%x", "a claim's value")} {
					if strings.Contains(shown, strings.TrimSuffix(secret, "]")) {
						t.Errorf("%s of a %T shows %.12s", verb, v, secret)
					}
				}
			}
		}
	}
}

// TestNestedGuards: a machine that an outer guard accepted is anonymous to an inner
// guard that does not accept its kind, and each guard checks its own requirements.
func TestNestedGuards(t *testing.T) {
	r := testkit.NewMachineRig(t)
	either := clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey))
	for name, c := range map[string]struct {
		inner  clerkauth.Access
		status int
	}{
		"the same":     {either, 200},
		"a session":    {clerkauth.SignedIn, 401},
		"another kind": {clerkauth.Token(clerkauth.OAuthToken), 401},
		"a scope":      {clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:read")), 200},
		"a lost scope": {clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:delete")), 403},
		"public":       {clerkauth.Public, 200},
		"other kinds":  {clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("reports:read"))), 401},
	} {
		got := testkit.Serve(func(h http.Handler) http.Handler { return r.Auth.Require(either)(r.Auth.Require(c.inner)(h)) }, testkit.Bearer(r.APIKey.Token))
		if got.Status != c.status || got.Entered != (c.status == 200) {
			t.Errorf("%s: %v", name, got)
		}
		got = testkit.Serve(func(h http.Handler) http.Handler { return r.Auth.Handler(r.Auth.Require(c.inner)(h)) }, testkit.Bearer(r.APIKey.Token))
		if got.Status != c.status {
			t.Errorf("%s, behind Handler: %v", name, got)
		}
	}
	// An identity of another Authenticator is not accepted.
	other := testkit.NewMachineRig(t)
	got := testkit.Serve(func(h http.Handler) http.Handler { return r.Auth.Require(either)(other.Auth.Require(either)(h)) }, testkit.Bearer(r.APIKey.Token))
	if got.Entered || got.Status != 401 {
		t.Error(got)
	}
	// Nor is one made by hand.
	forged := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			h.ServeHTTP(w, req.WithContext(clerkauth.NewContext(req.Context(), clerkauth.Auth{TokenType: clerkauth.APIKey, Subject: "user_1", TokenID: "ak_1"})))
		})
	}
	if got := testkit.Serve(func(h http.Handler) http.Handler { return forged(r.Auth.Require(either)(h)) }); got.Entered {
		t.Error(got)
	}
}

// TestMachinesAndWhatIsHidden: with HideUnauthorized a machine receives 404 for what
// it may not reach, and a CONNECT request is refused without a call to Clerk.
func TestMachinesAndWhatIsHidden(t *testing.T) {
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.HideUnauthorized = true })
	guard := r.Auth.Require(clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:delete")))
	for name, token := range map[string]string{"without a scope": r.APIKey.Token, "another kind": r.OAuth.Token, "unknown": "ak_unknown", "nothing": "", "a session": r.Jane.Token()} {
		if got := testkit.Serve(guard, testkit.Bearer(token)); got.Status != 404 || got.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	before := r.Server.Requests(clerkauthtest.TokenVerify)
	got := testkit.Serve(guard, testkit.Bearer("ak_first"), func(req *http.Request) { req.Method = http.MethodConnect })
	if got.Status != 404 || r.Server.Requests(clerkauthtest.TokenVerify) != before {
		t.Error(got)
	}
}

// TestMachineID: a machine-to-machine token is valid for the machines that its
// scopes name.
func TestMachineID(t *testing.T) {
	r := testkit.NewMachineRig(t)
	forOther := r.Peer.Token(r.Server.CreateMachine("other"))
	both := r.Peer.Token(r.Here, r.Server.CreateMachine("third"))
	none := r.Peer.Token()
	audience := r.M2M.JWT(clerkauthtest.WithoutClaim("scopes"))
	guarded := clerkauth.Token(clerkauth.M2MToken)
	mine := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) { c.Machines.ID = r.Here.ID })
	anyones := testkit.NewAuth(t, r.Server, testkit.AcceptAll)
	machines := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) { c.Machines.SecretKey = clerkauth.NewSecret(r.Here.SecretKey) })
	for name, c := range map[string]struct {
		token              string
		mine, any, machine bool
	}{
		"for us":                  {r.M2M.Token, true, true, true},
		"for us, JWT":             {r.M2M.JWT(), true, true, true},
		"for us, in aud":          {audience, true, true, true},
		"for us and another":      {both.Token, true, true, true},
		"for us and another, JWT": {both.JWT(), true, true, true},
		"for another":             {forOther.Token, false, true, false},
		"for another, JWT":        {forOther.JWT(), false, true, true}, // verified without our secret key
		"for no machine":          {none.Token, false, true, false},
		"for no machine, JWT":     {none.JWT(), false, true, true},
		"almost for us":           {r.M2M.JWT(clerkauthtest.WithClaim("scopes", r.Here.ID+"x")), false, true, true},
		"in a claim that is none": {r.M2M.JWT(clerkauthtest.WithoutClaim("scopes"), clerkauthtest.WithClaim("scope", r.Here.ID), clerkauthtest.WithClaim("aud", "mch_other")), false, true, true},
		"in a list":               {r.M2M.JWT(clerkauthtest.WithClaim("scopes", []string{r.Here.ID})), false, false, false},
		"in another claim":        {r.M2M.JWT(clerkauthtest.WithClaim("scopes", ""), clerkauthtest.WithClaim("scope", r.Here.ID)), false, true, true},
	} {
		for config, auth := range map[string]*clerkauth.Authenticator{"MachineID": mine, "none": anyones, "MachineSecretKey": machines} {
			want := map[string]bool{"MachineID": c.mine, "none": c.any, "MachineSecretKey": c.machine}[config]
			if got := testkit.Serve(auth.Require(guarded), testkit.Bearer(c.token)); got.Entered != want || !want && got.Status != 401 {
				t.Errorf("%s, with %s: %v", name, config, got)
			}
		}
	}
	// A machine's secret key verifies machine-to-machine tokens alone.
	if got := testkit.Serve(machines.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)); !got.Entered {
		t.Error(got)
	}
}

func TestMachineConfiguration(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.SigningKey(testkit.KeyID, testkit.Key()))
	for what, change := range map[string]func(*clerkauth.Config){
		"an empty Accept":           func(c *clerkauth.Config) { c.Accept = []clerkauth.TokenType{} },
		"an unknown kind":           func(c *clerkauth.Config) { c.Accept = []clerkauth.TokenType{"apikey"} },
		"API keys without a secret": func(c *clerkauth.Config) { testkit.AcceptAll(c); c.SecretKey = clerkauth.Secret{} },
		"a machine's id":            func(c *clerkauth.Config) { c.Machines.ID = "here" },
		"a machine's malformed id":  func(c *clerkauth.Config) { c.Machines.ID = "mch_a b" },
		"the wrong secret":          func(c *clerkauth.Config) { c.Machines.SecretKey = c.SecretKey },
		"a broken secret":           func(c *clerkauth.Config) { c.Machines.SecretKey = clerkauth.NewSecret("ak_x\n") },
		"a negative TTL":            func(c *clerkauth.Config) { c.Machines.CacheTTL = -time.Second },
		"a long TTL":                func(c *clerkauth.Config) { c.Machines.CacheTTL = time.Hour },
	} {
		config := srv.Config()
		change(&config)
		if _, err := clerkauth.New(config); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	// Without a secret key only JWTs are verified.
	user, peer := srv.CreateUser("jane@example.com"), srv.CreateMachine("peer")
	auth := testkit.NewAuth(t, srv, func(c *clerkauth.Config) {
		c.SecretKey, c.Accept = clerkauth.Secret{}, []clerkauth.TokenType{clerkauth.M2MToken, clerkauth.OAuthToken}
	})
	for token, want := range map[string]bool{
		srv.CreateOAuthToken(user, "client_1").JWT(): true, peer.Token().JWT(): true, srv.CreateOAuthToken(user, "client_1").Token: false, peer.Token().Token: false,
	} {
		if got := testkit.Serve(auth.Require(testkit.AnyCredential), testkit.Bearer(token)); got.Entered != want || !want && got.Reason() != string(clerkauth.ErrTokenType) {
			t.Errorf("%.4s: %v", token, got)
		}
	}
}

// TestSDKMakesWhatWeAccept: keys that clerk-sdk-go creates at the local instance are
// accepted if and only if the SDK itself verifies them.
func TestSDKMakesWhatWeAccept(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	auth := testkit.NewAuth(t, srv, testkit.AcceptAll, func(c *clerkauth.Config) { c.Machines.CacheTTL = clerkauth.AskEveryTime })
	user := srv.CreateUser("jane@example.com")
	keys := apikey.NewClient(auth.ClerkConfig())
	created, err := keys.Create(t.Context(), &apikey.CreateParams{
		Name: clerk.String("reports"), Subject: clerk.String(user.ID), Scopes: []string{"reports:read"}, Claims: json.RawMessage(`{"tier":"gold"}`), SecondsUntilExpiration: clerk.Int64(3600),
	})
	if err != nil {
		t.Fatal(err)
	}
	verified, err := keys.Verify(t.Context(), &apikey.VerifyParams{Secret: created.Secret})
	if err != nil || verified.ID != created.ID || verified.Subject != user.ID {
		t.Fatal(verified, err)
	}
	access := clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:read"))
	var who clerkauth.Auth
	guard := auth.Require(access).Func(func(_ http.ResponseWriter, r *http.Request) { who = clerkauth.FromContext(r.Context()) })
	serve := func(token string) int {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		guard.ServeHTTP(w, req)
		return w.Code
	}
	if got := serve(created.Secret); got != 200 || who.TokenID != verified.ID || who.KeyName != "reports" || who.UserID != user.ID ||
		who.ExpiresAt.UnixMilli() != *verified.Expiration || who.IssuedAt.UnixMilli() != verified.CreatedAt {
		t.Errorf("%d %+v", got, who)
	}
	if _, err := keys.Update(t.Context(), created.ID, &apikey.UpdateParams{Scopes: []string{"reports"}}); err != nil {
		t.Fatal(err)
	}
	if got := serve(created.Secret); got != 403 {
		t.Error(got)
	}
	if _, err := keys.Revoke(t.Context(), created.ID, &apikey.RevokeParams{RevocationReason: clerk.String("lost")}); err != nil {
		t.Fatal(err)
	}
	srv.Advance(6 * time.Second)
	if got := serve(created.Secret); got != 401 {
		t.Error(got)
	}
	if _, err := keys.Verify(t.Context(), &apikey.VerifyParams{Secret: created.Secret}); err == nil {
		t.Error("a revoked key is verified")
	}

	// A machine creates its tokens with its own secret key.
	here, peer := srv.CreateMachine("here"), srv.CreateMachine("peer")
	config := auth.ClerkConfig()
	config.Key = clerk.String(peer.SecretKey)
	for _, format := range []string{"opaque", "jwt"} {
		token, err := m2m_token.NewClient(config).Create(t.Context(), &m2m_token.CreateParams{TokenFormat: clerk.String(format)})
		if err != nil {
			t.Fatal(err)
		}
		calls := testkit.NewAuth(t, srv, testkit.AcceptAll, func(c *clerkauth.Config) { c.Machines.ID = here.ID })
		got := testkit.Serve(calls.Require(clerkauth.Token(clerkauth.M2MToken, clerkauth.Scope(here.ID))), testkit.Bearer(token.Token))
		if !got.Entered {
			t.Errorf("%s: %v", format, got)
		}
		if format == "opaque" {
			if verified, err := m2m_token.NewClient(auth.ClerkConfig()).Verify(t.Context(), &m2m_token.VerifyParams{Token: token.Token}); err != nil || verified.Subject != peer.ID {
				t.Error(verified, err)
			}
		}
	}
}

// TestMachineJWTs: each JWT is a credential of one kind, or of none.
func TestMachineJWTs(t *testing.T) { testkit.Bubble(machineJWTs)(t) }

func machineJWTs(t *testing.T) {
	const (
		session, template, m2m, ignore = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_B7d4PD333AAA", "cl_I7d4PD111III"
		unknown                        = "cl_B7d4PD444AAA"
	)
	r := testkit.NewMachineRig(t)
	now := r.Server.Now().Unix()
	withParty := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) {
		c.InsecureAnyParty, c.AuthorizedParties = false, []string{"https://app.example.com"}
	})
	kinds := map[string]struct {
		credential *clerkauthtest.Credential
		access     clerkauth.Access
	}{
		"API key": {r.APIKey, clerkauth.Token(clerkauth.APIKey)}, "M2M": {r.M2M, clerkauth.Token(clerkauth.M2MToken)}, "OAuth": {r.OAuth, clerkauth.Token(clerkauth.OAuthToken)},
	}
	type opts = []clerkauthtest.TokenOption
	head, with, without := clerkauthtest.WithHeader, clerkauthtest.WithClaim, clerkauthtest.WithoutClaim
	for name, c := range map[string]struct {
		change opts
		good   []string         // kinds that stay valid
		reason clerkauth.Reason // for all other kinds; "" for any
	}{
		"as it is":                     {nil, []string{"API key", "M2M", "OAuth"}, ""},
		"no category":                  {opts{clerkauthtest.WithoutHeader("cat")}, []string{"API key", "M2M", "OAuth"}, ""},
		"an M2M category":              {opts{head("cat", m2m)}, []string{"M2M"}, clerkauth.ErrTokenType},
		"a session's category":         {opts{head("cat", session)}, nil, ""},
		"a template's category":        {opts{head("cat", template)}, nil, ""},
		"an unknown category":          {opts{head("cat", unknown)}, nil, ""},
		"a category to ignore":         {opts{head("cat", ignore)}, []string{"OAuth"}, ""},
		"a category that is no string": {opts{head("cat", 7)}, nil, ""},
		"no type":                      {opts{clerkauthtest.WithoutHeader("typ")}, []string{"API key", "M2M"}, clerkauth.ErrTokenType},
		"a JWT":                        {opts{head("typ", "JWT")}, []string{"API key", "M2M"}, clerkauth.ErrTokenType},
		"an access token":              {opts{head("typ", "at+jwt")}, []string{"OAuth"}, ""},
		"an access token in full":      {opts{head("typ", "application/at+jwt")}, []string{"OAuth"}, ""},
		"in capitals":                  {opts{head("typ", "AT+JWT")}, nil, ""},
		"another type":                 {opts{head("typ", "logout+jwt")}, nil, ""},
		"a session's id":               {opts{with("sid", "sess_1")}, []string{"M2M", "OAuth"}, clerkauth.ErrTokenType},
		"another's id":                 {opts{with("jti", "x_1")}, []string{"M2M", "OAuth"}, clerkauth.ErrTokenType},
		"no id":                        {opts{without("jti")}, nil, ""},
		"a malformed id":               {opts{with("jti", "ak_a b")}, nil, ""},
		"an id that is no string":      {opts{with("jti", 7)}, nil, ""},
		"no subject":                   {opts{without("sub")}, nil, ""},
		"an empty subject":             {opts{with("sub", "")}, nil, ""},
		"a user":                       {opts{with("sub", "user_1")}, []string{"API key", "OAuth"}, ""},
		"an organization":              {opts{with("sub", "org_1")}, []string{"API key"}, ""},
		"a machine":                    {opts{with("sub", "mch_1")}, []string{"M2M"}, ""},
		"another owner":                {opts{with("sub", "client_1")}, nil, ""},
		"no expiry":                    {opts{without("exp")}, nil, clerkauth.ErrTokenClaims},
		"it has expired":               {opts{with("exp", now-6)}, nil, clerkauth.ErrTokenExpired},
		"within the skew":              {opts{with("exp", now-4), with("iat", now-60), without("nbf")}, []string{"API key", "M2M", "OAuth"}, ""},
		"expires in 10000":             {opts{with("exp", 253402300800)}, nil, clerkauth.ErrTokenClaims},
		"not yet":                      {opts{with("nbf", now+6)}, nil, clerkauth.ErrTokenEarly},
		"of the future":                {opts{with("iat", now+6)}, nil, clerkauth.ErrTokenFuture},
		"no issue":                     {opts{without("iat")}, []string{"API key", "M2M", "OAuth"}, ""},
		"another issuer":               {opts{with("iss", "https://other.example.com")}, nil, clerkauth.ErrTokenIssuer},
		"no issuer":                    {opts{without("iss")}, nil, clerkauth.ErrTokenIssuer},
		"a party":                      {opts{with("azp", "https://evil.example.com")}, []string{"API key", "M2M", "OAuth"}, ""},
		"another key":                  {opts{clerkauthtest.SignedBy(testkit.OtherKey())}, nil, clerkauth.ErrTokenSignature},
		"an unknown key":               {opts{clerkauthtest.WithKeyID("ins_x")}, nil, clerkauth.ErrUnknownKey},
		"another algorithm":            {opts{head("alg", "RS512")}, nil, clerkauth.ErrTokenAlgorithm},
		"none":                         {opts{head("alg", "none")}, nil, clerkauth.ErrTokenAlgorithm},
		"an extension":                 {opts{head("crit", []string{"exp"})}, nil, clerkauth.ErrTokenType},
	} {
		for kind, of := range kinds {
			token := of.credential.JWT(c.change...)
			want := slices.Contains(c.good, kind)
			got := testkit.Serve(withParty.Require(of.access), testkit.Bearer(token))
			if got.Entered != want || !want && got.Status != 401 || !want && c.reason != "" && got.Reason() != string(c.reason) {
				t.Errorf("%s, %s: %v", kind, name, got)
			}
			// Whatever is changed, it is not accepted as a session.
			if got := testkit.Serve(withParty.Require(), testkit.Bearer(token)); got.Entered || got.Status != 401 {
				t.Errorf("%s, %s, as a session: %v", kind, name, got)
			}
		}
	}
}

// TestMachineAudience: if an audience is required, each JWT has to name it, and so
// has an opaque OAuth token.
func TestMachineAudience(t *testing.T) {
	r := testkit.NewMachineRig(t)
	auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) { c.Audience = []string{"https://api.example.com"} })
	guard := auth.Require(testkit.AnyCredential)
	for _, c := range []struct {
		audience any
		want     bool
	}{
		{"https://api.example.com", true}, {[]string{"x", "https://api.example.com"}, true}, {nil, false}, {"", false}, {[]string{}, false},
		{"https://api.example.com/", false}, {[]string{"x"}, false}, {7, false}, {map[string]string{"0": "https://api.example.com"}, false}, {[]any{"https://api.example.com", 7}, false},
	} {
		for _, credential := range []*clerkauthtest.Credential{r.APIKey, r.M2M, r.OAuth} {
			if got := testkit.Serve(guard, testkit.Bearer(credential.JWT(clerkauthtest.WithClaim("aud", c.audience)))); got.Entered != c.want {
				t.Errorf("%s for %v: %v", credential.Kind, c.audience, got)
			}
		}
		r.Server.Answer(clerkauthtest.OAuthVerify, 200, "application/json", testkit.JSON(map[string]any{"object": "clerk_idp_oauth_access_token", "id": "oat_1", "subject": "user_1", "aud": c.audience, "revoked": false, "expired": false}))
		if got := testkit.Serve(guard, testkit.Bearer(fmt.Sprintf("oat_%p", &c))); got.Entered != c.want {
			t.Errorf("opaque, for %v: %v", c.audience, got)
		}
		r.Server.Heal(clerkauthtest.OAuthVerify)
		r.Server.Advance(time.Minute)
	}
	// A partial match is not enough.
	if got := testkit.Serve(guard, testkit.Bearer(r.OAuth.JWT(clerkauthtest.WithClaim("aud", []string{"", "https://api.example.com"})))); got.Status != 401 {
		t.Error(got)
	}
	if got := testkit.Serve(guard, testkit.Bearer(r.OAuth.Token)); got.Entered || got.Status != 401 {
		t.Errorf("for no audience: %v", got)
	}
	if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
		t.Errorf("an opaque API key has no audience: %v", got)
	}
}
