package clerkgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/clerkauth/clerkauth"
	clerkgrpc "github.com/clerkauth/clerkauth/adapters/grpc"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// The service of these tests has every method in four kinds: unary, and streams
// of which the server, the client or both send more than one message.
var (
	methods = []string{"Public", "User", "Admin"}
	kinds   = []string{"", "Server", "Client", "Both"}
	rules   = rulesFor("/shop.v1.Shop/Public", "/shop.v1.Shop/Admin")
)

func rulesFor(public, admin string) clerkgrpc.Rules {
	rules := clerkgrpc.Rules{}
	for _, kind := range kinds {
		rules[public+kind] = clerkauth.Public
		rules[admin+kind] = clerkauth.Role("org:admin")
	}
	return rules
}

// witness is in every handler, and keeps what it saw there.
type witness struct {
	mu   sync.Mutex
	seen []context.Context
}

func (w *witness) say(ctx context.Context) *wrapperspb.StringValue {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, ctx)
	who := clerkauth.FromContext(ctx)
	return wrapperspb.String(fmt.Sprintf("user=%s err=%v", who.UserID, who.Err()))
}

func (w *witness) take() []context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// register makes the service known to s.
func (w *witness) register(s *grpc.Server) {
	desc := grpc.ServiceDesc{ServiceName: "shop.v1.Shop", HandlerType: (*any)(nil)}
	stream := func(_ any, s grpc.ServerStream) error {
		answer := w.say(s.Context())
		if err := s.RecvMsg(new(emptypb.Empty)); err != nil {
			return err
		}
		return s.SendMsg(answer)
	}
	for _, method := range methods {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: method,
			Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				in := new(emptypb.Empty)
				if err := decode(in); err != nil {
					return nil, err
				}
				handle := func(ctx context.Context, _ any) (any, error) { return w.say(ctx), nil }
				if interceptor == nil {
					return handle(ctx, in)
				}
				return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/shop.v1.Shop/" + method}, handle)
			}})
		for _, kind := range kinds[1:] {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: method + kind, Handler: stream,
				ServerStreams: kind != "Client", ClientStreams: kind != "Server"})
		}
	}
	s.RegisterService(&desc, struct{}{})
}

// serve starts a server of w's and returns a connection to it.
func serve(t *testing.T, w *witness, options ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	w.register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// guarded are the options of a server whose methods are guarded by rules.
func guarded(auth *clerkauth.Authenticator) []grpc.ServerOption {
	unary, stream := clerkgrpc.Interceptors(auth, rules)
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream)}
}

// call calls a method with these values of authorization.
func call(t *testing.T, conn *grpc.ClientConn, method string, authorization ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, value := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	answer := new(wrapperspb.StringValue)
	method = "/shop.v1.Shop/" + method
	desc := grpc.StreamDesc{ServerStreams: !strings.HasSuffix(method, "Client"), ClientStreams: !strings.HasSuffix(method, "Server")}
	if slices.Contains(methods, strings.TrimPrefix(method, "/shop.v1.Shop/")) {
		err := conn.Invoke(ctx, method, new(emptypb.Empty), answer)
		return answer.GetValue(), err
	}
	stream, err := conn.NewStream(ctx, &desc, method)
	if err != nil {
		return "", err
	}
	if err := stream.SendMsg(new(emptypb.Empty)); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if err := stream.CloseSend(); err != nil {
		return "", err
	}
	err = stream.RecvMsg(answer)
	return answer.GetValue(), err
}

func newAuth(t *testing.T, config clerkauth.Config) *clerkauth.Authenticator {
	t.Helper()
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

func TestWhoReachesWhat(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	jane := srv.CreateUser("jane@example.com")
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	admin := "Bearer " + session.Token()
	member := "Bearer " + srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member")).Token()
	expired := "Bearer " + session.Token(clerkauthtest.ExpiresIn(-time.Minute), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf"))
	w := &witness{}
	conn := serve(t, w, guarded(newAuth(t, srv.Config()))...)
	const bad, key, basic = "Bearer e30.e.e30", "Bearer ak_1", "Basic YTpi"
	for _, test := range []struct {
		rule          string
		method        string
		authorization []string
		code          codes.Code
		says          string
	}{
		{"anybody may call what is public", "Public", nil, codes.OK, "user= err=<nil>"},
		{"who is signed in is known there", "Public", []string{admin}, codes.OK, "user=" + jane.ID},
		{"another scheme is no credential", "Public", []string{basic}, codes.OK, "user= err=<nil>"},
		{"a bad token is refused even there", "Public", []string{bad}, codes.Unauthenticated, "(token-invalid)"},
		{"a credential of somebody else's is not", "Public", []string{"Bearer cron-secret"}, codes.OK, "user= err=clerkauth: "},
		{"but two are", "Public", []string{admin, member}, codes.Unauthenticated, "(token-invalid)"},
		{"without a rule nobody may call", "User", nil, codes.Unauthenticated, "(session-token-and-uat-missing)"},
		{"but users", "User", []string{member}, codes.OK, "user=" + jane.ID},
		{"the scheme may be in any case", "User", []string{"bEARER" + member[6:]}, codes.OK, "user=" + jane.ID},
		{"a token without a scheme is refused", "User", []string{member[7:]}, codes.Unauthenticated, "(token-invalid)"},
		{"a bad token is refused", "User", []string{bad}, codes.Unauthenticated, "(token-invalid)"},
		{"and an expired one", "User", []string{expired}, codes.Unauthenticated, "(token-expired)"},
		{"and a machine's", "User", []string{key}, codes.Unauthenticated, "(token-type-mismatch)"},
		{"one token twice", "User", []string{member, member}, codes.Unauthenticated, "(token-invalid)"},
		{"a good one after a bad one", "User", []string{bad, member}, codes.Unauthenticated, "(token-invalid)"},
		{"a good one before another scheme", "User", []string{member, basic}, codes.Unauthenticated, "(token-invalid)"},
		{"a good one before nothing", "User", []string{member, ""}, codes.Unauthenticated, "(token-invalid)"},
		{"two in one value", "User", []string{member + "," + member[7:]}, codes.Unauthenticated, "(token-invalid)"},
		{"admins may call what is theirs", "Admin", []string{admin}, codes.OK, "user=" + jane.ID},
		{"members may not", "Admin", []string{member}, codes.PermissionDenied, "(forbidden)"},
		{"nobody may", "Admin", nil, codes.Unauthenticated, "(session-token-and-uat-missing)"},
	} {
		for _, kind := range kinds {
			says, err := call(t, conn, test.method+kind, test.authorization...)
			if err != nil {
				says = status.Convert(err).Message()
			}
			if got := status.Code(err); got != test.code || !strings.Contains(says, test.says) {
				t.Errorf("%s: %s%s: %v, %q", test.rule, test.method, kind, got, says)
			}
			if reached := len(w.take()); (reached > 0) != (test.code == codes.OK) {
				t.Errorf("%s: %s%s reached %d handlers", test.rule, test.method, kind, reached)
			}
		}
	}
}

func TestKeysAreAway(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	token := "Bearer " + srv.SignIn(srv.CreateUser("jane@example.com")).Token()
	srv.Fail(clerkauthtest.JWKS, 503)
	w := &witness{}
	conn := serve(t, w, guarded(newAuth(t, srv.Config()))...)
	for _, kind := range kinds {
		_, err := call(t, conn, "User"+kind, token)
		const want = "clerkauth: tokens cannot be verified at the moment; try again (jwk-remote-failed-to-load)"
		if s := status.Convert(err); s.Code() != codes.Unavailable || s.Message() != want || len(w.take()) > 0 {
			t.Errorf("a guarded method answers %v", err) // and says nothing of why
		}
		if says, err := call(t, conn, "Public"+kind, token); err != nil || !strings.HasPrefix(says, "user= err=clerkauth: tokens cannot be verified") {
			t.Errorf("a public method answers %q, %v", says, err)
		}
		w.take()
	}
}

// TestDetails reads reason and retry from refusals.
func TestDetails(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	jane := srv.CreateUser("jane@example.com")
	member := "Bearer " + srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member")).Token()
	conn := serve(t, &witness{}, guarded(newAuth(t, srv.Config()))...)
	away := clerkauthtest.NewServer(t)
	away.Fail(clerkauthtest.JWKS, 503)
	awayConn := serve(t, &witness{}, guarded(newAuth(t, away.Config()))...)
	other := "Bearer " + away.SignIn(away.CreateUser("john@example.com")).Token()
	for _, kind := range kinds {
		for _, test := range []struct {
			conn          *grpc.ClientConn
			method        string
			authorization []string
			code          codes.Code
			reason        clerkauth.Reason
			says          string
		}{
			{conn, "User", nil, codes.Unauthenticated, clerkauth.ErrTokenMissing, "SESSION_TOKEN_AND_UAT_MISSING"},
			{conn, "User", []string{"Bearer e30"}, codes.Unauthenticated, clerkauth.ErrTokenInvalid, "TOKEN_INVALID"},
			{conn, "Admin", []string{member}, codes.PermissionDenied, clerkauth.ErrForbidden, "FORBIDDEN"},
			{awayConn, "User", []string{other}, codes.Unavailable, clerkauth.ErrKeysUnavailable, "JWK_REMOTE_FAILED_TO_LOAD"},
		} {
			_, err := call(t, test.conn, test.method+kind, test.authorization...)
			s := status.Convert(err)
			var info *errdetails.ErrorInfo
			var retry *errdetails.RetryInfo
			for _, detail := range s.Details() {
				switch detail := detail.(type) {
				case *errdetails.ErrorInfo:
					info = detail
				case *errdetails.RetryInfo:
					retry = detail
				}
			}
			if s.Code() != test.code || info.GetReason() != test.says || info.GetDomain() != clerkgrpc.ErrorDomain || info.GetMetadata()["reason"] != string(test.reason) {
				t.Errorf("%s%s: %v: %v", test.method, kind, s, info)
			}
			if (retry.GetRetryDelay().AsDuration() >= time.Second) != (test.code == codes.Unavailable) || (retry != nil) != (test.code == codes.Unavailable) {
				t.Errorf("%s%s: %v: %v", test.method, kind, s, retry)
			}
		}
	}
}

func TestIdentitiesOfOthersAreNotBelieved(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	forge := func(ctx context.Context) context.Context {
		return clerkauth.NewContext(ctx, clerkauth.Auth{UserID: "user_1", OrgID: "org_1", OrgRole: "org:admin"})
	}
	before := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(forge(ctx), req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return handler(srv, forgedStream{s, forge(s.Context())})
		}),
	}
	w := &witness{}
	conn := serve(t, w, append(before, guarded(newAuth(t, srv.Config()))...)...)
	for _, kind := range kinds {
		for _, method := range []string{"User", "Admin"} {
			if _, err := call(t, conn, method+kind); status.Code(err) != codes.Unauthenticated || len(w.take()) > 0 {
				t.Errorf("%s%s: %v", method, kind, err)
			}
		}
	}
}

type forgedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s forgedStream) Context() context.Context { return s.ctx }

// TestNamesAsClientsWriteThem gives the interceptors the names that a client can
// put on the wire, whatever this version of gRPC lets through to them.
func TestNamesAsClientsWriteThem(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	unary, stream := clerkgrpc.Interceptors(newAuth(t, srv.Config()), rules)
	member := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:member"))
	known := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+member.Token()))
	unknown := metadata.NewIncomingContext(t.Context(), metadata.MD{})
	for _, test := range []struct {
		name string
		ctx  context.Context
		code codes.Code
	}{
		{"/shop.v1.Shop/Admin", known, codes.PermissionDenied},
		{"shop.v1.Shop/Admin", known, codes.PermissionDenied},
		{"/shop.v1.Shop/admin", unknown, codes.Unauthenticated},
		{"//shop.v1.Shop/Public", unknown, codes.Unauthenticated},
		{"/shop.v1.Shop/Public/", unknown, codes.Unauthenticated},
		{"/shop.v1.Shop/%50ublic", unknown, codes.Unauthenticated},
		{"/other.v1.Other/Method", unknown, codes.Unauthenticated},
		{"", unknown, codes.Unauthenticated},
		{"", t.Context(), codes.Unauthenticated},
	} {
		reached := false
		_, err := unary(test.ctx, nil, &grpc.UnaryServerInfo{FullMethod: test.name}, func(context.Context, any) (any, error) {
			reached = true
			return nil, nil
		})
		if status.Code(err) != test.code || reached {
			t.Errorf("unary %q: %v", test.name, err)
		}
		err = stream(nil, forgedStream{nil, test.ctx}, &grpc.StreamServerInfo{FullMethod: test.name}, func(any, grpc.ServerStream) error {
			reached = true
			return nil
		})
		if status.Code(err) != test.code || reached {
			t.Errorf("stream %q: %v", test.name, err)
		}
	}
}

func TestImpossibleRulesPanic(t *testing.T) {
	auth := newAuth(t, clerkauthtest.NewServer(t).Config())
	for name, wrong := range map[string]clerkgrpc.Rules{
		"nil access":        {"/shop.v1.Shop/Admin": nil},
		"impossible access": {"/shop.v1.Shop/Admin": clerkauth.Role("")},
		"no slash":          {"shop.v1.Shop/Admin": clerkauth.SignedIn},
		"no method":         {"/shop.v1.Shop/": clerkauth.SignedIn},
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
			clerkgrpc.Interceptors(auth, wrong)
		})
	}
}

func TestRulesAreCopied(t *testing.T) {
	auth := newAuth(t, clerkauthtest.NewServer(t).Config())
	mine := clerkgrpc.Rules{}
	unary, _ := clerkgrpc.Interceptors(auth, mine)
	mine["/a/b"] = clerkauth.Public
	if _, err := unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, nil); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	unary, _ = clerkgrpc.Interceptors(auth, nil)
	if _, err := unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, nil); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

// TestCallersAreNotMixedUp has many callers at once on one connection.
func TestCallersAreNotMixedUp(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	w := &witness{}
	conn := serve(t, w, guarded(newAuth(t, srv.Config()))...)
	const callers, times = 16, 10
	var group sync.WaitGroup
	for i := range callers {
		user := srv.CreateUser(fmt.Sprintf("user-%d@example.com", i))
		token := "Bearer " + srv.SignIn(user).Token()
		group.Go(func() {
			for range times {
				for _, kind := range kinds {
					if says, err := call(t, conn, "User"+kind, token); err != nil || says != "user="+user.ID+" err=<nil>" {
						t.Errorf("%s: %q, %v", user.ID, says, err)
					}
				}
			}
		})
	}
	group.Wait()
	count := make(map[string]int)
	for _, ctx := range w.take() {
		count[clerkauth.FromContext(ctx).UserID]++
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

// TestHiddenMethods: what a caller may not call is answered like a method that is
// not there.
func TestHiddenMethods(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	config := srv.Config()
	config.HideUnauthorized = true
	member := "Bearer " + srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:member")).Token()
	w := &witness{}
	conn := serve(t, w, guarded(newAuth(t, config))...)
	for _, authorization := range [][]string{nil, {member}} {
		for _, kind := range kinds {
			_, err := call(t, conn, "Admin"+kind, authorization...)
			_, nothing := call(t, conn, "Nowhere"+kind, authorization...)
			there, nowhere := status.Convert(err), status.Convert(nothing)
			if there.Code() != codes.Unimplemented || there.Code() != nowhere.Code() || strings.ReplaceAll(there.Message(), "Admin", "Nowhere") != nowhere.Message() || len(there.Details()) != 0 {
				t.Errorf("%s: %v, instead of %v", kind, err, nothing)
			}
		}
	}
	if _, err := call(t, conn, "User", member); err != nil || len(w.take()) != 1 {
		t.Errorf("what a caller may call: %v", err)
	}
}
