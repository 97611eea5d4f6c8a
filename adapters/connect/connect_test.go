package clerkconnect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/clerkauth/clerkauth"
	clerkconnect "github.com/clerkauth/clerkauth/adapters/connect"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// The service of these tests has every procedure in four kinds: unary, and
// streams of which the server, the client or both send more than one message.
var (
	procedures = []string{"Public", "User", "Admin"}
	kinds      = []string{"", "Server", "Client", "Both"}
	protocols  = map[string][]connect.ClientOption{
		"connect": nil, "connect, json": {connect.WithProtoJSON()}, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	}
	rules = rulesFor(service+"Public", service+"Admin")
)

const service = "/shop.v1.Shop/"

func rulesFor(public, admin string) clerkconnect.Rules {
	rules := clerkconnect.Rules{}
	for _, kind := range kinds {
		rules[public+kind] = clerkauth.Public
		rules[admin+kind] = clerkauth.Role("org:admin")
	}
	return rules
}

type (
	in  = emptypb.Empty
	out = wrapperspb.StringValue
)

// say is what a handler answers. The witness in it keeps what it saw there.
func say(ctx context.Context, w *adaptertest.Witness) *out {
	w.Say(ctx, "")
	who := clerkauth.FromContext(ctx)
	return wrapperspb.String(fmt.Sprintf("user=%s err=%v", who.UserID, who.Err()))
}

// newMux returns the service.
func newMux(w *adaptertest.Witness, options ...connect.HandlerOption) *http.ServeMux {
	mux := http.NewServeMux()
	for _, name := range procedures {
		name = service + name
		mux.Handle(name, connect.NewUnaryHandler(name, func(ctx context.Context, _ *connect.Request[in]) (*connect.Response[out], error) {
			return connect.NewResponse(say(ctx, w)), nil
		}, slices.Concat(options, []connect.HandlerOption{connect.WithIdempotency(connect.IdempotencyNoSideEffects)})...))
		mux.Handle(name+"Server", connect.NewServerStreamHandler(name+"Server", func(ctx context.Context, _ *connect.Request[in], s *connect.ServerStream[out]) error {
			return s.Send(say(ctx, w))
		}, options...))
		mux.Handle(name+"Client", connect.NewClientStreamHandler(name+"Client", func(ctx context.Context, _ *connect.ClientStream[in]) (*connect.Response[out], error) {
			return connect.NewResponse(say(ctx, w)), nil
		}, options...))
		mux.Handle(name+"Both", connect.NewBidiStreamHandler(name+"Both", func(ctx context.Context, s *connect.BidiStream[in, out]) error {
			return s.Send(say(ctx, w))
		}, options...))
	}
	return mux
}

// serve starts a server and returns its address and a client for it, which speak
// HTTP/2 without TLS.
func serve(t *testing.T, handler http.Handler) (string, *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return server.URL, &http.Client{Transport: transport}
}

// call calls a procedure with these lines of Authorization.
func call(t *testing.T, client *http.Client, base, procedure string, options []connect.ClientOption, authorization ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := connect.NewClient[in, out](client, base+service+procedure, options...)
	authorize := func(h http.Header) {
		if authorization != nil {
			h["Authorization"] = authorization
		}
	}
	switch {
	case strings.HasSuffix(procedure, "Server"):
		req := connect.NewRequest(&in{})
		authorize(req.Header())
		s, err := c.CallServerStream(ctx, req)
		if err != nil {
			return "", err
		}
		defer s.Close()
		if s.Receive() {
			return s.Msg().Value, nil
		}
		return "", s.Err()
	case strings.HasSuffix(procedure, "Client"):
		s := c.CallClientStream(ctx)
		authorize(s.RequestHeader())
		if err := s.Send(&in{}); err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		resp, err := s.CloseAndReceive()
		if err != nil {
			return "", err
		}
		return resp.Msg.Value, nil
	case strings.HasSuffix(procedure, "Both"):
		s := c.CallBidiStream(ctx)
		authorize(s.RequestHeader())
		if err := s.Send(&in{}); err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		defer s.CloseResponse()
		if err := s.CloseRequest(); err != nil {
			return "", err
		}
		msg, err := s.Receive()
		if err != nil {
			return "", err
		}
		return msg.Value, nil
	}
	req := connect.NewRequest(&in{})
	authorize(req.Header())
	resp, err := c.CallUnary(ctx, req)
	if err != nil {
		return "", err
	}
	return resp.Msg.Value, nil
}

func TestWhoReachesWhat(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	jane := srv.CreateUser("jane@example.com")
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	admin := "Bearer " + session.Token()
	member := "Bearer " + srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member")).Token()
	expired := "Bearer " + session.Token(clerkauthtest.ExpiresIn(-time.Minute), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf"))
	auth := adaptertest.NewAuth(t, srv.Config())
	w := &adaptertest.Witness{}
	guard := clerkconnect.Require(auth, rules)
	plain, client := serve(t, newMux(w, guard))
	inside, insideClient := serve(t, auth.Handler(newMux(w, guard))) // who is calling is known before Connect begins
	const bad, key, basic = "Bearer e30.e.e30", "Bearer ak_1", "Basic YTpi"
	const ok = connect.Code(0)
	for _, test := range []struct {
		rule          string
		procedure     string
		authorization []string
		code          connect.Code
		says          string
	}{
		{"anybody may call what is public", "Public", nil, ok, "user= err=<nil>"},
		{"who is signed in is known there", "Public", []string{admin}, ok, "user=" + jane.ID},
		{"another scheme is no credential", "Public", []string{basic}, ok, "user= err=<nil>"},
		{"a bad token is refused even there", "Public", []string{bad}, connect.CodeUnauthenticated, "(token-invalid)"},
		{"a credential of somebody else's is not", "Public", []string{"Bearer cron-secret"}, ok, "user= err=clerkauth: "},
		{"but two are", "Public", []string{admin, member}, connect.CodeUnauthenticated, "(token-invalid)"},
		{"without a rule nobody may call", "User", nil, connect.CodeUnauthenticated, "(session-token-and-uat-missing)"},
		{"but users", "User", []string{member}, ok, "user=" + jane.ID},
		{"a bad token is refused", "User", []string{bad}, connect.CodeUnauthenticated, "(token-invalid)"},
		{"and an expired one", "User", []string{expired}, connect.CodeUnauthenticated, "(token-expired)"},
		{"and a machine's", "User", []string{key}, connect.CodeUnauthenticated, "(token-type-mismatch)"},
		{"one token twice", "User", []string{member, member}, connect.CodeUnauthenticated, "(token-invalid)"},
		{"a good one after a bad one", "User", []string{bad, member}, connect.CodeUnauthenticated, "(token-invalid)"},
		{"a good one before another scheme", "User", []string{member, basic}, connect.CodeUnauthenticated, "(token-invalid)"},
		{"admins may call what is theirs", "Admin", []string{admin}, ok, "user=" + jane.ID},
		{"members may not", "Admin", []string{member}, connect.CodePermissionDenied, "(forbidden)"},
		{"nobody may", "Admin", nil, connect.CodeUnauthenticated, "(session-token-and-uat-missing)"},
	} {
		for protocol, options := range protocols {
			for _, kind := range kinds {
				says, err := call(t, client, plain, test.procedure+kind, options, test.authorization...)
				var e *connect.Error
				code := ok
				if errors.As(err, &e) {
					code, says = e.Code(), e.Message()
				}
				if code != test.code || !strings.Contains(says, test.says) {
					t.Errorf("%s: %s: %s%s: %v, %q", protocol, test.rule, test.procedure, kind, err, says)
				}
				if reached := len(w.Take()); (reached > 0) != (test.code == ok) {
					t.Errorf("%s: %s: %s%s reached %d handlers", protocol, test.rule, test.procedure, kind, reached)
				}
				if code == connect.CodeUnauthenticated && kind+protocol == "connect" && (!strings.HasPrefix(e.Meta().Get("WWW-Authenticate"), "Bearer") || e.Meta().Get("Cache-Control") != "no-store") {
					t.Errorf("%s: %s: %s%s: %q", protocol, test.rule, test.procedure, kind, e.Meta())
				}
				_, err = call(t, insideClient, inside, test.procedure+kind, options, test.authorization...)
				if reached := len(w.Take()); (reached > 0) != (test.code == ok) || (err == nil) != (test.code == ok) {
					t.Errorf("%s: %s: %s%s inside of Handler reached %d handlers: %v", protocol, test.rule, test.procedure, kind, reached, err)
				}
			}
		}
	}
}

// TestOnTheWire looks at what plain HTTP gets.
func TestOnTheWire(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	token := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:member")).Token()
	w := &adaptertest.Witness{}
	mux := newMux(w, clerkconnect.Require(adaptertest.NewAuth(t, srv.Config()), rules))
	base, _ := serve(t, allowOrigin(mux))
	const origin, json = "Origin: https://app.example.com", "Content-Type: application/json"
	bearer := "Authorization: Bearer " + token
	const get = "?connect=v1&encoding=json&message=%7B%7D"
	for _, test := range []struct {
		rule, method, target string
		header               []string
		body                 string
		status               int
		says                 string
	}{
		{"a refusal is Connect's own", "POST", service + "User", []string{json}, "{}", 401,
			`{"code":"unauthenticated","message":"clerkauth: send a token as Authorization: Bearer (session-token-and-uat-missing)","details":[{"type":"google.rpc.ErrorInfo",`},
		{"and so is this", "POST", service + "Admin", []string{json, bearer}, "{}", 403,
			`{"code":"permission_denied","message":"clerkauth: you are signed in, but not allowed to do this (forbidden)","details":[{"type":"google.rpc.ErrorInfo",`},
		{"GET is guarded", "GET", service + "User" + get, nil, "", 401, "session-token-and-uat-missing"},
		{"and let through", "GET", service + "User" + get, []string{bearer}, "", 200, "user=user_"},
		{"two lines are refused", "POST", service + "User", []string{json, bearer, bearer}, "{}", 401, "token-invalid"},
		{"in any case of the name", "POST", service + "User", []string{json, bearer, "authorization: x"}, "{}", 401, "token-invalid"},
		{"a message is not read before", "POST", service + "User", []string{json, "Content-Length: 1000000"}, "", 401, "session-token-and-uat-missing"},
		{"nor decompressed", "POST", service + "User", []string{json, "Content-Encoding: gzip"}, "no gzip", 401, "session-token-and-uat-missing"},
		{"nor decoded", "POST", service + "User", []string{json}, "no json", 401, "session-token-and-uat-missing"},
		{"but after", "POST", service + "User", []string{json, bearer}, "no json", 400, "invalid_argument"},
		{"a preflight is answered", "OPTIONS", service + "User", []string{origin, "Access-Control-Request-Method: POST"}, "", 204, ""},
		{"what looks like one is guarded", "POST", service + "User", []string{json, origin, "Access-Control-Request-Method: POST"}, "{}", 401, ""},
		{"and what it asks for", "POST", service + "User", []string{json, origin}, "{}", 401, ""},
		{"OPTIONS alone reaches nothing", "OPTIONS", service + "User", []string{origin}, "", 405, ""},
		{"an odd path reaches nothing", "POST", "/" + service + "Admin", []string{json}, "{}", 307, ""},
		{"nor does this", "POST", "/shop.v1.Shop/%41dmin", []string{json}, "{}", 401, ""},
		{"nor this", "POST", "/x/.." + service + "Admin", []string{json}, "{}", 307, ""},
	} {
		resp, body := adaptertest.Send(t, base, test.method, test.target, test.header, test.body)
		if resp.StatusCode != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: status %d: %s", test.rule, resp.StatusCode, body)
		}
		if reached := len(w.Take()); (reached > 0) != (test.status == 200) {
			t.Errorf("%s: %d handlers were reached", test.rule, reached)
		}
	}
}

// TestHeadersAreThoseOfNetHTTP compares what a refusal tells callers of plain HTTP with
// what a guard of net/http tells them.
func TestHeadersAreThoseOfNetHTTP(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	jane := srv.CreateUser("jane@example.com")
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member"))
	expired := session.Token(clerkauthtest.ExpiresIn(-time.Minute), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf"))
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	scoped := clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("invoices:create"))
	for _, test := range []struct {
		rule, bearer string
		access       clerkauth.Access
		away         bool
		status       int
		challenge    string // begins with
	}{
		{"nobody", "", clerkauth.SignedIn, false, 401, "Bearer"},
		{"a bad token", "e30", clerkauth.SignedIn, false, 401, `Bearer error="invalid_token", error_description="`},
		{"an expired one", expired, clerkauth.SignedIn, false, 401, `Bearer error="invalid_token", error_description="`},
		{"a role is missing", session.Token(), clerkauth.Role("org:admin"), false, 403, ""},
		{"a scope is missing", srv.CreateAPIKey(jane, "invoices:read").Token, scoped, false, 403, `Bearer error="insufficient_scope"`},
		{"keys are away", session.Token(), clerkauth.SignedIn, true, 503, ""},
	} {
		auth := adaptertest.NewAuth(t, config)
		if test.away {
			srv.Fail(clerkauthtest.JWKS, 503)
		}
		const procedure = service + "User"
		ask := func(h http.Handler) *httptest.ResponseRecorder {
			req, rec := httptest.NewRequest("POST", procedure, strings.NewReader("{}")), httptest.NewRecorder()
			req.Header.Set("Content-Type", "application/json")
			if test.bearer != "" {
				req.Header.Set("Authorization", "Bearer "+test.bearer)
			}
			h.ServeHTTP(rec, req)
			return rec
		}
		want := ask(auth.Require(test.access).Func(func(http.ResponseWriter, *http.Request) { t.Errorf("%s: let in", test.rule) }))
		got := ask(newMux(&adaptertest.Witness{}, clerkconnect.Require(auth, clerkconnect.Rules{procedure: test.access})))
		if got.Code != test.status || want.Code != test.status || !strings.HasPrefix(got.Header().Get("WWW-Authenticate"), test.challenge) {
			t.Errorf("%s: status %d, %q", test.rule, got.Code, got.Header())
		}
		for _, name := range []string{"WWW-Authenticate", "Retry-After", "Cache-Control", "Vary"} {
			if got, want := got.Header()[http.CanonicalHeaderKey(name)], want.Header()[http.CanonicalHeaderKey(name)]; !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q instead of %q", test.rule, name, got, want)
			}
		}
	}
}

// TestDetails reads reason and retry from refusals in every protocol.
func TestDetails(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	session := srv.SignIn(srv.CreateUser("jane@example.com"))
	w := &adaptertest.Witness{}
	base, client := serve(t, newMux(w, clerkconnect.Require(adaptertest.NewAuth(t, srv.Config()), rules)))
	srv.Fail(clerkauthtest.JWKS, 503)
	for protocol, options := range protocols {
		for _, kind := range kinds {
			for authorization, want := range map[string]string{
				"":                          "SESSION_TOKEN_AND_UAT_MISSING session-token-and-uat-missing",
				"Bearer e30":                "TOKEN_INVALID token-invalid",
				"Bearer " + session.Token(): "JWK_REMOTE_FAILED_TO_LOAD jwk-remote-failed-to-load",
			} {
				var lines []string
				if authorization != "" {
					lines = []string{authorization}
				}
				_, err := call(t, client, base, "User"+kind, options, lines...)
				var refusal *connect.Error
				if !errors.As(err, &refusal) {
					t.Fatalf("%s: %v", protocol, err)
				}
				said, retry := "", time.Duration(0)
				for _, detail := range refusal.Details() {
					message, err := detail.Value()
					if err != nil {
						t.Fatal(err)
					}
					switch message := message.(type) {
					case *errdetails.ErrorInfo:
						said = message.GetReason() + " " + message.GetMetadata()["reason"]
						if message.GetDomain() != clerkconnect.ErrorDomain {
							t.Errorf("domain is %q", message.GetDomain())
						}
					case *errdetails.RetryInfo:
						retry = message.GetRetryDelay().AsDuration()
					}
				}
				if said != want || (retry >= time.Second) != (refusal.Code() == connect.CodeUnavailable) || retry != 0 && refusal.Code() != connect.CodeUnavailable {
					t.Errorf("%s: User%s: %v says %q, retry in %v; want %q", protocol, kind, refusal, said, retry, want)
				}
			}
		}
	}
}

// allowOrigin answers preflights.
func allowOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://app.example.com")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestKeysAreAway(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	token := "Bearer " + srv.SignIn(srv.CreateUser("jane@example.com")).Token()
	srv.Fail(clerkauthtest.JWKS, 503)
	w := &adaptertest.Witness{}
	base, client := serve(t, newMux(w, clerkconnect.Require(adaptertest.NewAuth(t, srv.Config()), rules)))
	for _, kind := range kinds {
		_, err := call(t, client, base, "User"+kind, nil, token)
		const want = "unavailable: clerkauth: tokens cannot be verified at the moment; try again (jwk-remote-failed-to-load)"
		if connect.CodeOf(err) != connect.CodeUnavailable || err.Error() != want || len(w.Take()) > 0 {
			t.Errorf("a guarded procedure answers %v", err) // and says nothing of why
		}
		if says, err := call(t, client, base, "Public"+kind, nil, token); err != nil || !strings.HasPrefix(says, "user= err=clerkauth: tokens cannot be verified") {
			t.Errorf("a public procedure answers %q, %v", says, err)
		}
		w.Take()
	}
}

func TestIdentitiesOfOthersAreNotBelieved(t *testing.T) {
	auth := adaptertest.NewAuth(t, clerkauthtest.NewServer(t).Config())
	w := &adaptertest.Witness{}
	mux := newMux(w, clerkconnect.Require(auth, rules))
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forged := clerkauth.Auth{UserID: "user_1", OrgID: "org_1", OrgRole: "org:admin"}
		mux.ServeHTTP(w, r.WithContext(clerkauth.NewContext(r.Context(), forged)))
	}))
	for _, kind := range kinds {
		for _, procedure := range []string{"User", "Admin"} {
			if _, err := call(t, client, base, procedure+kind, nil); connect.CodeOf(err) != connect.CodeUnauthenticated || len(w.Take()) > 0 {
				t.Errorf("%s%s: %v", procedure, kind, err)
			}
		}
	}
}

// TestInterceptorsKnowTheCaller has one before the gate in the list of options.
// TestCookies: cookies count if the Authenticator's own Handler, which is around the
// handlers, has authenticated the request with them.
func TestCookies(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	jane, john := srv.CreateUser("jane@example.com"), srv.CreateUser("john@example.com")
	cookies := adaptertest.Cookies(srv.SignIn(jane))
	bearer := adaptertest.Bearer(srv.SignIn(john))
	auth, other := adaptertest.NewAuth(t, srv.Config()), adaptertest.NewAuth(t, srv.Config())
	disabled := srv.Config()
	disabled.Browser.Disabled = true
	without := adaptertest.NewAuth(t, disabled)
	none := func(next http.Handler) http.Handler { return next }
	swapped := func(next http.Handler) http.Handler {
		return auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Cookie", strings.TrimPrefix(adaptertest.Cookies(srv.SignIn(john)), "Cookie: "))
			next.ServeHTTP(w, r)
		}))
	}
	const same, cross = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"
	for _, test := range []struct {
		rule   string
		around func(http.Handler) http.Handler
		by     *clerkauth.Authenticator
		header []string
		status int
		says   string
	}{
		{"a page of this server", auth.Handler, auth, []string{cookies, same}, 200, jane.ID},
		{"a page of this server, without fetch metadata", auth.Handler, auth, []string{cookies, "Origin: http://HOST"}, 200, jane.ID},
		{"a page of an authorized party", auth.Handler, auth, []string{cookies, cross, "Origin: " + srv.Config().AuthorizedParties[0]}, 200, jane.ID},
		{"a page of another site", auth.Handler, auth, []string{cookies, cross}, 403, "cross-site-request"},
		{"a page of another site, without fetch metadata", auth.Handler, auth, []string{cookies, "Origin: https://evil.example"}, 403, "cross-site-request"},
		{"a token before cookies", auth.Handler, auth, []string{cookies, bearer, same}, 200, john.ID},
		{"a token and no cookies", auth.Handler, auth, []string{bearer}, 200, john.ID},
		{"nothing", auth.Handler, auth, nil, 401, "session-token-and-uat-missing"},
		{"without Handler", none, auth, []string{cookies, same}, 401, "session-token-and-uat-missing"},
		{"without Handler, a token", none, auth, []string{cookies, bearer, cross}, 200, john.ID},
		{"another one's Handler", other.Handler, auth, []string{cookies, same}, 401, "session-token-and-uat-missing"},
		{"cookies that Handler has not seen", swapped, auth, []string{cookies, same}, 401, "session-token-and-uat-missing"},
		{"no browsers", without.Handler, without, []string{cookies, same}, 401, "session-token-and-uat-missing"},
	} {
		w := &adaptertest.Witness{}
		base, _ := serve(t, test.around(newMux(w, clerkconnect.Require(test.by, rules))))
		header := []string{"Content-Type: application/json"}
		for _, line := range test.header {
			header = append(header, strings.ReplaceAll(line, "HOST", strings.TrimPrefix(base, "http://")))
		}
		resp, body := adaptertest.Send(t, base, "POST", service+"User", header, "{}")
		if reached := len(w.Take()); resp.StatusCode != test.status || !strings.Contains(body, test.says) || (reached > 0) != (test.status == 200) {
			t.Errorf("%s: status %d, %s", test.rule, resp.StatusCode, body)
		}
		if vary := resp.Header["Vary"]; test.status != 200 && test.by == auth && !slices.Equal(vary, []string{"Authorization, Cookie"}) {
			t.Errorf("%s: Vary is %q", test.rule, vary)
		}
	}
}

func TestInterceptorsKnowTheCaller(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	session := srv.SignIn(srv.CreateUser("jane@example.com"))
	seen := ""
	look := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			seen += clerkauth.FromContext(ctx).UserID
			return next(ctx, req)
		}
	})
	base, client := serve(t, newMux(&adaptertest.Witness{}, connect.WithInterceptors(look), clerkconnect.Require(adaptertest.NewAuth(t, srv.Config()), nil)))
	if _, err := call(t, client, base, "User", nil, "Bearer "+session.Token()); err != nil || seen != session.User.ID {
		t.Errorf("it saw %q, %v", seen, err)
	}
}

func TestImpossibleRulesPanic(t *testing.T) {
	auth := adaptertest.NewAuth(t, clerkauthtest.NewServer(t).Config())
	for name, wrong := range map[string]clerkconnect.Rules{
		"nil access":        {service + "Admin": nil},
		"impossible access": {service + "Admin": clerkauth.Role("")},
		"no slash":          {"shop.v1.Shop/Admin": clerkauth.SignedIn},
		"a prefix":          {"/api" + service + "Admin": clerkauth.SignedIn},
		"no procedure":      {service: clerkauth.SignedIn},
		"no service":        {"//Admin": clerkauth.SignedIn},
		"service alone":     {"/shop.v1.Shop": clerkauth.SignedIn},
		"no name":           {"": clerkauth.SignedIn},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("they did not panic")
				}
			}()
			clerkconnect.Require(auth, wrong)
		})
	}
}

func TestRulesAreCopied(t *testing.T) {
	auth := adaptertest.NewAuth(t, clerkauthtest.NewServer(t).Config())
	mine := maps.Clone(rules)
	w := &adaptertest.Witness{}
	base, client := serve(t, newMux(w, clerkconnect.Require(auth, mine)))
	mine[service+"User"] = clerkauth.Public
	if _, err := call(t, client, base, "User", nil); connect.CodeOf(err) != connect.CodeUnauthenticated || len(w.Take()) > 0 {
		t.Error(err)
	}
}

// TestCallersAreNotMixedUp has many callers at once on one connection.
func TestCallersAreNotMixedUp(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	w := &adaptertest.Witness{}
	base, client := serve(t, newMux(w, clerkconnect.Require(adaptertest.NewAuth(t, srv.Config()), rules)))
	const callers, times = 16, 5
	var group sync.WaitGroup
	for i := range callers {
		user := srv.CreateUser(fmt.Sprintf("user-%d@example.com", i))
		token := "Bearer " + srv.SignIn(user).Token()
		group.Go(func() {
			for range times {
				for _, kind := range kinds {
					if says, err := call(t, client, base, "User"+kind, nil, token); err != nil || says != "user="+user.ID+" err=<nil>" {
						t.Errorf("%s: %q, %v", user.ID, says, err)
					}
				}
			}
		})
	}
	group.Wait()
	count := make(map[string]int)
	for _, s := range w.Take() {
		count[clerkauth.FromContext(s.Ctx).UserID]++
	}
	for user, n := range count {
		if n != times*len(kinds) || user == "" {
			t.Errorf("%q was seen %d times", user, n)
		}
	}
	if len(count) != callers {
		t.Errorf("%d callers were seen", len(count))
	}
}

// TestHiddenProcedures: clients are told of what a caller may not call what they are
// told of a procedure that is not there.
func TestHiddenProcedures(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	config := srv.Config()
	config.HideUnauthorized = true
	member := "Bearer " + srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:member")).Token()
	w := &adaptertest.Witness{}
	base, client := serve(t, newMux(w, clerkconnect.Require(adaptertest.NewAuth(t, config), rules)))
	for protocol, options := range protocols {
		for _, authorization := range [][]string{nil, {member}} {
			for _, kind := range kinds {
				_, err := call(t, client, base, "Admin"+kind, options, authorization...)
				_, nothing := call(t, client, base, "Nowhere"+kind, options, authorization...)
				if connect.CodeOf(err) != connect.CodeUnimplemented || connect.CodeOf(nothing) != connect.CodeUnimplemented {
					t.Errorf("%s, %s: %v, instead of %v", protocol, kind, err, nothing)
				}
				var told *connect.Error
				if errors.As(err, &told) && (len(told.Details()) != 0 || told.Meta().Get("WWW-Authenticate") != "") {
					t.Errorf("%s, %s: %v", protocol, kind, told.Meta())
				}
			}
		}
	}
	if len(w.Take()) != 0 {
		t.Error("a handler was reached")
	}
}
