package catalogue

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// The rows about tokens share an instance and a session, because generating a key is
// slow. Each has its own Authenticators.
var (
	tokenServer = sync.OnceValue(func() *clerkauthtest.Server {
		srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
		if err != nil {
			panic(err)
		}
		return srv
	})
	tokenSession = sync.OnceValue(func() *clerkauthtest.Session {
		srv := tokenServer()
		return srv.SignIn(srv.CreateUser("jane@example.com"))
	})
	// tokenAttacker is a key that no instance published.
	tokenAttacker = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
)

// tokenRow is the set of Authenticators with which a row verifies tokens.
type tokenRow struct {
	t       *testing.T
	srv     *clerkauthtest.Server
	session *clerkauthtest.Session
	// With keys not fetched yet, with fetched keys, and with JWTKey.
	cold, warm, static tokenVerifier
	before             int // fetches of the Backend API's set and of the public one
	beforePublic       int
}

// newTokenRow returns a row's Authenticators. The changes apply to the configuration
// of each.
func newTokenRow(t *testing.T, changes ...func(*clerkauth.Config)) tokenRow {
	t.Helper()
	r := tokenRow{t: t, srv: tokenServer(), session: tokenSession()}
	verifier := func(by, jwtKey string) tokenVerifier {
		v := tokenVerifier{t: t, by: by, log: new(testkit.Log)}
		c := r.srv.Config()
		c.JWTKey = jwtKey
		c.Logger = slog.New(slog.NewTextHandler(v.log, nil))
		for _, change := range changes {
			change(&c)
		}
		var err error
		if v.auth, err = clerkauth.New(c); err != nil {
			t.Fatal(err)
		}
		return v
	}
	r.cold, r.warm, r.static = verifier("keys to fetch", ""), verifier("fetched keys", ""), verifier("JWTKey", r.srv.JWTKey())
	// Fetches for unknown keys also fetch the known ones, and are the last of their
	// kind for a while.
	for i := range unknownBurst {
		token := r.session.Token(clerkauthtest.WithKeyID(fmt.Sprint("ins_unknown", i)))
		if _, err := r.warm.auth.VerifyToken(t.Context(), token); !errors.Is(err, clerkauth.ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	r.before, r.beforePublic = r.srv.Requests(clerkauthtest.BackendJWKS), r.srv.Requests(clerkauthtest.FrontendJWKS)
	return r
}

// tokenClock fixes an Authenticator's clock.
func tokenClock(at time.Time) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) { c.Now = func() time.Time { return at } }
}

// unknownBurst is the number of fetches that tokens of unknown keys may cause at
// once.
const unknownBurst = 3

// fetched requires that number of refreshes since the row began; each fetches the
// Backend API's set and then possibly the public one.
func (r tokenRow) fetched(want int) {
	r.t.Helper()
	if got := r.srv.Requests(clerkauthtest.BackendJWKS) - r.before; got != want {
		r.t.Errorf("keys were fetched %d times, want %d", got, want)
	}
	if got := r.srv.Requests(clerkauthtest.FrontendJWKS) - r.beforePublic; got > want {
		r.t.Errorf("the public keys were fetched %d times, want no more than %d", got, want)
	}
}

func (r tokenRow) each(do func(tokenVerifier)) {
	r.t.Helper()
	for _, v := range []tokenVerifier{r.cold, r.warm, r.static} {
		do(v)
	}
}

// refuses requires a token to be rejected on every route, with that reason.
func (r tokenRow) refuses(what, token string, why clerkauth.Reason) {
	r.t.Helper()
	r.each(func(v tokenVerifier) { v.refuses(what, token, why) })
}

// refusesAll is refuses for many tokens.
func (r tokenRow) refusesAll(tokens map[string]string, why clerkauth.Reason) {
	r.t.Helper()
	for what, token := range tokens {
		r.refuses(what, token, why)
	}
}

// ignores requires a token not to be a session credential of this instance: guards
// reject it, and elsewhere the caller is anonymous.
func (r tokenRow) ignores(what, token string, why clerkauth.Reason) {
	r.t.Helper()
	r.each(func(v tokenVerifier) { v.ignores(what, token, why) })
}

// ignoresAll is ignores for many tokens.
func (r tokenRow) ignoresAll(tokens map[string]string, why clerkauth.Reason) {
	r.t.Helper()
	for what, token := range tokens {
		r.ignores(what, token, why)
	}
}

// accepts requires a token to be accepted, and returns its Auth.
func (r tokenRow) accepts(what, token string) clerkauth.Auth {
	r.t.Helper()
	var who clerkauth.Auth
	r.each(func(v tokenVerifier) { who = v.accepts(what, token) })
	return who
}

// tokenVerifier is one Authenticator of a row.
type tokenVerifier struct {
	t    *testing.T
	by   string
	auth *clerkauth.Authenticator
	log  *testkit.Log
}

func (v tokenVerifier) refuses(what, token string, why clerkauth.Reason) {
	v.t.Helper()
	v.deny(what, token, why, false)
}

func (v tokenVerifier) ignores(what, token string, why clerkauth.Reason) {
	v.t.Helper()
	v.deny(what, token, why, true)
}

func (v tokenVerifier) deny(what, token string, why clerkauth.Reason, anonymous bool) {
	v.t.Helper()
	wrong := func(where string, got ...any) {
		v.t.Helper()
		v.t.Errorf("%s: %q: %s: %v, want %v", v.by, what, where, fmt.Sprint(got...), why)
	}
	refusal := func(where string, who clerkauth.Auth, err error) {
		v.t.Helper()
		var e *clerkauth.Error
		if !errors.As(err, &e) || !errors.Is(err, why) || e.Status != http.StatusUnauthorized {
			wrong(where, err)
		} else if s := tokenLeak(err.Error(), token); s != "" {
			v.t.Errorf("%s: %q: %s: the error contains %q", v.by, what, where, s)
		}
		if who.SignedIn() || who.UserID != "" || who.SessionID != "" {
			wrong(where, "a user is signed in")
		}
	}
	who, err := v.auth.VerifyToken(v.t.Context(), token)
	refusal("VerifyToken", who, err)
	state := v.auth.Authenticate(tokenRequest(token))
	refusal("Authenticate", state.Auth(), state.Auth().Err())
	if !errors.Is(state.Err(), why) { // its code is Clerk's, where that is another one
		wrong("State.Err", state.Err())
	}

	w, reached := v.serve(v.auth.Require(), token)
	if reached || w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") ||
		!strings.Contains(w.Body.String(), `"reason":"`+string(why)+`"`) {
		wrong("Require", reached, w.Code, w.Header(), w.Body)
	}
	output := fmt.Sprint(w.Header(), w.Body)
	for where, m := range map[string]clerkauth.Middleware{"Handler": v.auth.Handler, "Require(Public)": v.auth.Require(clerkauth.Public)} {
		if w, reached = v.serve(m, token); anonymous != reached || !anonymous && w.Code != http.StatusUnauthorized || anonymous && w.Body.Len() > 0 {
			wrong(where, reached, w.Code, w.Header(), w.Body)
		}
		output += fmt.Sprint(w.Header(), w.Body)
	}
	if s := tokenLeak(output+v.log.String(), token); s != "" {
		v.t.Errorf("%s: %q: a response or the log contains %q", v.by, what, s)
	}
}

// accepts requires a token to be accepted, and returns its Auth.
func (v tokenVerifier) accepts(what, token string) clerkauth.Auth {
	v.t.Helper()
	who, err := v.auth.VerifyToken(v.t.Context(), token)
	if err != nil || !who.SignedIn() {
		v.t.Errorf("%s: %q: VerifyToken: %v", v.by, what, err)
	}
	for where, m := range map[string]clerkauth.Middleware{"Require": v.auth.Require(), "Handler": v.auth.Handler} {
		w, reached := v.serve(m, token)
		if !reached || w.Body.String() != who.UserID {
			v.t.Errorf("%s: %q: %s: %d %s", v.by, what, where, w.Code, w.Body)
		}
	}
	return who
}

// answers returns a guard's response to a token.
func (v tokenVerifier) answers(token string, requirements ...clerkauth.Access) *httptest.ResponseRecorder {
	w, _ := v.serve(v.auth.Require(requirements...), token)
	return w
}

// serve sends a token to a handler that writes the user's id.
func (v tokenVerifier) serve(m clerkauth.Middleware, token string) (w *httptest.ResponseRecorder, reached bool) {
	w = httptest.NewRecorder()
	m.Func(func(w http.ResponseWriter, r *http.Request) {
		reached = true
		fmt.Fprint(w, clerkauth.FromContext(r.Context()).UserID)
	}).ServeHTTP(w, tokenRequest(token))
	return w, reached
}

func tokenRequest(token string) *http.Request {
	req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

var tokenValue = regexp.MustCompile(`"([^"\\]{8,})"`)

// tokenLeak returns what text reveals of a token: a part of it, or a value in it
// that is too long to appear by chance.
func tokenLeak(text, token string) string {
	for part := range strings.SplitSeq(token, ".") {
		if len(part) >= 8 && strings.Contains(text, part) {
			return part
		}
		decoded, _ := base64.RawURLEncoding.DecodeString(part[:min(len(part), 16<<10)])
		for _, m := range tokenValue.FindAllSubmatch(decoded, -1) {
			if strings.Contains(text, string(m[1])) {
				return string(m[1])
			}
		}
	}
	return ""
}

// token mints a token that is valid for as long as a row takes.
func (r tokenRow) token(opts ...clerkauthtest.TokenOption) string {
	return r.session.Token(append([]clerkauthtest.TokenOption{clerkauthtest.ExpiresIn(time.Hour)}, opts...)...)
}

// payload returns the claims of a valid token.
func (r tokenRow) payload() []byte { return tokenPart(r.token(), 1) }

// tokenPart decodes a part of a token.
func tokenPart(token string, n int) []byte {
	part, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	if err != nil {
		panic(err)
	}
	return part
}

func tokenBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// header returns the text of a session token's header with more members at its end;
// $kid is the key's id.
func (r tokenRow) header(members string) []byte {
	return r.keyID(`{"alg":"RS256","typ":"JWT","kid":"$kid","cat":"cl_B7d4PD111AAA"` + members + `}`)
}

func (r tokenRow) keyID(text string) []byte {
	return []byte(strings.ReplaceAll(text, "$kid", r.srv.KeyID()))
}

// under signs a valid token's claims under a header of that text.
func (r tokenRow) under(header string) string { return r.srv.SignRaw(r.keyID(header), r.payload()) }

// with is under for members behind the usual ones.
func (r tokenRow) with(members string) string { return r.srv.SignRaw(r.header(members), r.payload()) }

// claims mints a token in which claims have these values, given as names and JSON
// texts; none removes a claim.
func (r tokenRow) claims(namesAndValues ...string) string {
	const mark = "the value of "
	opts := make([]clerkauthtest.TokenOption, 0, len(namesAndValues)/2)
	for i := 0; i < len(namesAndValues); i += 2 {
		opts = append(opts, clerkauthtest.WithClaim(namesAndValues[i], mark+namesAndValues[i]))
	}
	payload := string(tokenPart(r.token(opts...), 1))
	for i := 0; i < len(namesAndValues); i += 2 {
		payload = strings.Replace(payload, `"`+mark+namesAndValues[i]+`"`, namesAndValues[i+1], 1)
	}
	return r.srv.SignRaw(r.header(""), []byte(payload))
}

// signed signs any text as if it were the first two parts of a token.
func (r tokenRow) signed(text string) string { return text + "." + tokenBase64(r.signature(text)) }

func (r tokenRow) signature(text string) []byte {
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, r.srv.Key(), crypto.SHA256, digest[:])
	if err != nil {
		r.t.Fatal(err)
	}
	return signature
}

// tokenAllocated returns how many bytes do allocates: the minimum of several tries,
// because other goroutines are counted as well.
func tokenAllocated(do func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
