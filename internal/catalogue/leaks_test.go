package catalogue

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// captured holds all output, responses, errors and logs, without repetitions.
type captured struct {
	mu      sync.Mutex
	seen    map[string]bool
	all     strings.Builder
	reasons map[clerkauth.Reason]int
}

func (c *captured) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.seen[string(p)] {
		c.seen[string(p)] = true
		c.all.Write(p)
	}
	return len(p), nil
}

// error captures err in every form in which it may be printed.
func (c *captured) error(err error) {
	if err == nil {
		return
	}
	asJSON, _ := json.Marshal(err)
	fmt.Fprintf(c, "%v\n%+v\n%#v\n%s\n%q\n%x\n%d\n%s\n", err, err, err, err, err, err, err, asJSON)
	slog.Error("x", "error", err, "group", slog.GroupValue(slog.Any("error", err)))
	var refusal *clerkauth.Error
	if errors.As(err, &refusal) {
		c.mu.Lock()
		c.reasons[refusal.Reason]++
		c.mu.Unlock()
	}
	if inner := errors.Unwrap(err); inner != nil {
		c.error(inner)
	}
}

func (c *captured) answer(r testkit.Reply) {
	if !r.Entered {
		fmt.Fprintf(c, "%d %v\n%s\n", r.Status, r.Header, r.Body)
	}
}

// both passes records to two handlers.
type both [2]slog.Handler

func (b both) Enabled(context.Context, slog.Level) bool { return true }

func (b both) Handle(ctx context.Context, r slog.Record) error {
	return errors.Join(b[0].Handle(ctx, r.Clone()), b[1].Handle(ctx, r.Clone()))
}

func (b both) WithAttrs(a []slog.Attr) slog.Handler {
	return both{b[0].WithAttrs(a), b[1].WithAttrs(a)}
}

func (b both) WithGroup(name string) slog.Handler {
	return both{b[0].WithGroup(name), b[1].WithGroup(name)}
}

// newCaptured also captures slog's default logger, at every level.
func newCaptured(t *testing.T) (*captured, *slog.Logger) {
	c := &captured{seen: make(map[string]bool), reasons: make(map[clerkauth.Reason]int)}
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	logger := slog.New(both{slog.NewTextHandler(c, options), slog.NewJSONHandler(c, options)})
	before, flags := slog.Default(), log.Flags()
	slog.SetDefault(logger)
	t.Cleanup(func() { slog.SetDefault(before); log.SetFlags(flags); log.SetOutput(os.Stderr) })
	return c, logger
}

// mark is part of every value that must not appear in any output.
const mark = "mArK"

// marked returns the options of a token whose values all contain mark.
func marked() []clerkauthtest.TokenOption {
	return []clerkauthtest.TokenOption{
		clerkauthtest.WithKeyID(mark + "_kid"), clerkauthtest.WithClaim("sub", "user_"+mark), clerkauthtest.WithClaim("sid", "sess_"+mark), clerkauthtest.WithClaim("jti", mark+"_jti"),
		clerkauthtest.WithClaim("o", map[string]any{"id": "org_" + mark, "slg": mark + "_slug", "rol": mark + "_role", "per": mark + "_per", "fpm": "1"}),
		clerkauthtest.WithClaim("fea", "o:"+mark), clerkauthtest.WithClaim("pla", "u:"+mark), clerkauthtest.WithClaim("act", map[string]any{"sub": "user_actor_" + mark}),
		clerkauthtest.WithClaim("email", mark+"@example.com"), clerkauthtest.WithClaim("metadata", map[string]any{mark: mark}),
	}
}

// leakingTokens returns valid and invalid tokens by name.
func leakingTokens(r *testkit.Rig) map[string]string {
	with := func(more ...clerkauthtest.TokenOption) string { return r.Jane.Token(append(marked(), more...)...) }
	now := r.Server.Now().Unix()
	good := with()
	first, rest, _ := strings.Cut(good, ".")
	return map[string]string{
		"good": good, "v1": with(clerkauthtest.Version1(), clerkauthtest.WithClaim("org_id", mark), clerkauthtest.WithClaim("org_role", mark), clerkauthtest.WithClaim("org_slug", mark)),
		"stale": with(clerkauthtest.WithClaim("fva", []int{31337313373, 31337313373})), "none": "", "garbage": mark, "dots": mark + "." + mark + "." + mark, "space": good + " " + mark,
		"no header": "." + rest, "header alone": first, "expired": with(clerkauthtest.WithClaim("exp", now-100), clerkauthtest.WithClaim("iat", now-200), clerkauthtest.WithClaim("nbf", now-200)), "early": with(clerkauthtest.WithClaim("nbf", now+40)),
		"future": with(clerkauthtest.WithClaim("iat", now+40)), "party": with(clerkauthtest.WithClaim("azp", "https://"+mark)), "no party": with(clerkauthtest.WithoutParty()), "issuer": with(clerkauthtest.WithClaim("iss", "https://"+mark)),
		"no sub": with(clerkauthtest.WithoutClaim("sub")), "sub of no kind": with(clerkauthtest.WithClaim("sub", []string{mark})), "no sid": with(clerkauthtest.WithoutClaim("sid")), "status": with(clerkauthtest.WithClaim("sts", mark)),
		"exp of no kind": with(clerkauthtest.WithClaim("exp", mark)), "pending": with(clerkauthtest.WithClaim("sts", "pending")), "key": with(clerkauthtest.WithKeyID(mark + "_other")), "no key": with(clerkauthtest.WithoutHeader("kid")),
		"signature": with(clerkauthtest.SignedBy(testkit.OtherKey())), "algorithm": with(clerkauthtest.WithHeader("alg", mark)), "none algorithm": with(clerkauthtest.WithHeader("alg", "none")),
		"type": with(clerkauthtest.WithHeader("typ", mark)), "category": with(clerkauthtest.WithHeader("cat", mark)), "crit": with(clerkauthtest.WithHeader("crit", []string{mark})),
		"template": r.Jane.TemplateToken(mark, map[string]any{"sub": mark}), "machine": "ak_" + mark, "machine-to-machine": with(clerkauthtest.WithClaim("sub", "mch_"+mark)), "duplicate": with(clerkauthtest.WithClaim("EMAIL", mark)),
		"payload": r.Server.SignRaw([]byte(`{"alg":"RS256","kid":"`+mark+`"}`), []byte(mark)), "header": r.Server.SignRaw([]byte(mark), []byte("{}")), "too long": with(clerkauthtest.WithClaim("pad", strings.Repeat(mark, 5000))),
	}
}

// TestNothingLeaks drives everything that refuses, fails or logs, and searches the
// output for secrets, tokens and claim values.
func TestNothingLeaks(t *testing.T) {
	out, logger := newCaptured(t)
	r := testkit.NewRig(t)
	public := &testkit.Key().PublicKey
	private := base64.RawURLEncoding.EncodeToString(testkit.Key().D.Bytes())
	set := testkit.KeySet(testkit.JWK(mark+"_kid", public, nil), testkit.JWK(mark+"_private", public, changes{"d": private}), testkit.JWK(mark+"_alg", public, changes{"alg": mark}), testkit.JWK("", public, nil))
	tokens := leakingTokens(r)

	for _, handled := range []bool{false, true} {
		for _, hide := range []bool{false, true} {
			for name, how := range map[string]int{"up": 0, "401": 401, "404": 404, "429": 429, "500": 500, "garbage": clerkauthtest.Garbage, "cut": clerkauthtest.Cut, "redirect": clerkauthtest.Redirect} {
				if hide && how != 0 {
					continue
				}
				r.Server.SetKeySet(set)
				r.Server.Heal(clerkauthtest.Backend | clerkauthtest.Frontend)
				if how != 0 {
					r.Server.Fail(clerkauthtest.Backend|clerkauthtest.Frontend, how)
				}
				auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
					c.Logger, c.HideUnauthorized = logger, hide
					if handled {
						c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
							out.error(err)
							http.Error(w, err.Error(), err.Status)
						}
					}
				})
				fmt.Fprintln(out, auth, *auth, auth.ClerkConfig())
				for _, token := range tokens {
					drive(t, out, auth, r.Server.Issuer(), token)
				}
				if name == "up" {
					testkit.WantReply(t, testkit.Serve(auth.Require(), testkit.Bearer(tokens["good"])), 200, "") // the control: it is read at all
				}
			}
		}
	}
	driveNew(out, r)
	scan(t, out, r, tokens, private)
	for _, reason := range []clerkauth.Reason{
		clerkauth.ErrTokenMissing, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenType, clerkauth.ErrTokenAlgorithm, clerkauth.ErrTokenSignature, clerkauth.ErrTokenClaims, clerkauth.ErrTokenParty,
		clerkauth.ErrTokenIssuer, clerkauth.ErrTokenExpired, clerkauth.ErrTokenEarly, clerkauth.ErrTokenFuture, clerkauth.ErrUnknownKey, clerkauth.ErrSessionPending, clerkauth.ErrForbidden,
		clerkauth.ErrReverification, clerkauth.ErrKeysUnavailable, clerkauth.ErrSecretKeyInvalid, clerkauth.ErrUnavailable, clerkauth.ErrUnauthenticated, clerkauth.ErrConfiguration,
	} {
		if out.reasons[reason] == 0 {
			t.Errorf("nothing was refused for %s", reason)
		}
	}
}

// drive passes token to every function that takes one.
func drive(t *testing.T, out *captured, auth *clerkauth.Authenticator, issuer, token string) {
	// page sends a request of a browser. A handshake takes its session token to Clerk, and
	// nowhere else.
	page := func(wrap clerkauth.Middleware, edit func(*http.Request)) {
		got := testkit.Serve(wrap, testkit.AsPage, edit)
		location, query, _ := strings.Cut(got.Header.Get("Location"), "?")
		if values, err := url.ParseQuery(query); err == nil && location == issuer+"/v1/client/handshake" && values.Get("__session") == token {
			values.Del("__session")
			got.Header.Set("Location", location+"?"+values.Encode())
		}
		out.answer(got)
	}
	for _, wrap := range []clerkauth.Middleware{
		auth.Handler, auth.Require(), auth.Require(clerkauth.Public), auth.Require(clerkauth.Role("owner")), auth.Require(clerkauth.Permission("a:b"), clerkauth.Feature("c"), clerkauth.Plan("d")),
		auth.Require(clerkauth.ReverifiedStrict), func(next http.Handler) http.Handler { return auth.Handler(auth.Require()(next)) },
	} {
		out.answer(testkit.Serve(wrap, testkit.Bearer(token)))
		page(wrap, testkit.Bearer(token))
		page(wrap, func(r *http.Request) {
			r.Header.Add("Cookie", "__client_uat=1; __session="+token)
		})
		out.answer(testkit.Serve(wrap, testkit.Bearer(token), func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+token) }))
	}
	who, err := auth.VerifyToken(t.Context(), token)
	out.error(err)
	state := auth.Authenticate(func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(r)
		return r
	}())
	out.error(state.Err())
	out.error(state.Auth().Err())
	fmt.Fprintln(out, state.Header())
	_, err = clerkauth.ClaimsAs[map[string]int](who)
	out.error(err)
	_, err = clerkauth.ClaimsAs[struct{ Email, Metadata int }](who)
	out.error(err)
	if !who.SignedIn() {
		who = clerkauth.Auth{UserID: "user_" + mark, SessionID: "sess_" + mark}
	}
	_, err = auth.GetToken(t.Context(), who, "")
	out.error(err)
	_, err = auth.GetToken(t.Context(), who, mark)
	out.error(err)
}

// driveNew configures New wrongly in many ways, and uses Authenticators that lack
// what a method needs.
func driveNew(out *captured, r *testkit.Rig) {
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testkit.Key())}))
	for _, change := range []func(*clerkauth.Config){
		func(c *clerkauth.Config) { c.PublishableKey = r.Server.SecretKey() },
		func(c *clerkauth.Config) {
			c.PublishableKey = "pk_live_" + strings.TrimPrefix(c.PublishableKey, "pk_test_")
		},
		func(c *clerkauth.Config) { c.SecretKey = clerkauth.NewSecret(r.Server.SecretKey() + "\n") },
		func(c *clerkauth.Config) { c.SecretKey = clerkauth.NewSecret("x" + r.Server.SecretKey()) },
		func(c *clerkauth.Config) { c.SecretKey = clerkauth.NewSecret("ak_" + r.Server.SecretKey()) },
		func(c *clerkauth.Config) { c.JWTKey = private },
		func(c *clerkauth.Config) { c.JWTKey = r.Server.SecretKey() },
		func(c *clerkauth.Config) { c.BackendURL = "https://x:" + r.Server.SecretKey() + "@api.example" },
		func(c *clerkauth.Config) { c.FrontendURL = "https://api.example?key=" + r.Server.SecretKey() },
		func(c *clerkauth.Config) { c.Browser.SignInURL = "//" + r.Server.SecretKey() },
	} {
		config := r.Server.Config()
		change(&config)
		_, err := clerkauth.New(config)
		out.error(err)
		slog.Info("x", "secret", config.SecretKey)
	}
	config := r.Server.Config()
	config.SecretKey = clerkauth.Secret{}
	auth, err := clerkauth.New(config)
	out.error(err)
	r.Server.Heal(clerkauthtest.Backend | clerkauthtest.Frontend)
	who, err := auth.VerifyToken(context.Background(), r.Jane.Token(clerkauthtest.WithKeyID(mark+"_kid")))
	out.error(err)
	_, err = auth.GetToken(context.Background(), who, "")
	out.error(err)
	_, err = r.Auth.GetToken(context.Background(), who, "an unknown template")
	out.error(err)
	r.Server.Fail(clerkauthtest.Backend, 503)
	_, err = r.Auth.GetToken(context.Background(), who, "")
	out.error(err)
	r.Server.Heal(clerkauthtest.Backend)
}

// scan searches for values that must not appear, verbatim and in common encodings.
func scan(t *testing.T, out *captured, r *testkit.Rig, tokens map[string]string, private string) {
	t.Helper()
	all := out.all.String()
	if n := strings.Count(all, "\n"); n < 1000 || !strings.Contains(all, "level=WARN") || !strings.Contains(all, `"level":"WARN"`) {
		t.Errorf("only %d lines were captured", n)
	}
	secrets := map[string]string{
		"the mark": mark, "the secret key": r.Server.SecretKey()[len("sk_test_"):], "a private key": private[:40], "a private key in PEM": base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(testkit.Key()))[:40], "an age": "31337313373", "a user's id": r.Jane.User.ID, "a session's id": r.Jane.ID,
	}
	forms := make(map[string]string)
	for name, secret := range secrets {
		forms[secret], forms[strings.ToLower(secret)] = name, name
		forms[hex.EncodeToString([]byte(secret))] = name + " in hexadecimal"
		forms[base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)]] = name + " in base64"
		forms[fmt.Sprintf("%d", []byte(secret))] = name + " as bytes"
	}
	for name, token := range tokens {
		for i, part := range strings.Split(token, ".") {
			if len(part) > 8 {
				forms[part[:min(len(part), 40)]] = fmt.Sprint("part ", i, " of token ", name)
			}
		}
	}
	for form, name := range forms {
		if i := strings.Index(all, form); i >= 0 {
			t.Errorf("%s came out: …%s…", name, all[max(0, i-200):min(len(all), i+100)])
		}
	}
}
