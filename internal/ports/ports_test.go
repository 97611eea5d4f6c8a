package ports

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// rig is a Clerk instance with an admin and a member of an organization.
type rig struct {
	*clerkauthtest.Server
	jane, john *clerkauthtest.Session
}

func newRig(t *testing.T) *rig {
	clerk := clerkauthtest.NewServer(t)
	return &rig{
		Server: clerk,
		jane:   clerk.SignIn(clerk.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create")),
		john:   clerk.SignIn(clerk.CreateUser("john@example.com"), clerkauthtest.InOrganization("acme", "org:member")),
	}
}

type edit = func(*http.Request)

func bearer(token string) edit {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(name, value string) edit {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// want tests the response to a request: its status, and that the handler greets the caller
// if the status is 200.
func want(t *testing.T, h http.Handler, target, caller string, code int, edits ...edit) {
	t.Helper()
	method, path, _ := strings.Cut(target, " ")
	r := httptest.NewRequest(method, path, nil)
	for _, e := range edits {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != code || code == http.StatusOK && w.Body.String() != "hello "+caller {
		t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, code)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestCookie(t *testing.T) {
	r := newRig(t)
	h := must(newCookieServer(r.Config()))
	jane := r.jane.User.ID
	cookie := func(token string) edit { return header("Cookie", "__session="+token) }
	evil := header("Sec-Fetch-Site", "cross-site")
	want(t, h, "GET /notes", jane, 200, bearer(r.jane.Token()))
	want(t, h, "GET /notes", jane, 200, cookie(r.jane.Token()))
	want(t, h, "GET /notes", jane, 200, cookie(r.jane.Token(clerkauthtest.WithoutParty())))
	want(t, h, "POST /notes", jane, 200, cookie(r.jane.Token()), header("Sec-Fetch-Site", "same-origin"))
	want(t, h, "POST /notes", jane, 200, bearer(r.jane.Token()), evil)
	want(t, h, "GET /notes", r.john.User.ID, 200, cookie(r.jane.Token()), bearer(r.john.Token()))

	want(t, h, "POST /notes", "", 403, cookie(r.jane.Token()), evil)
	want(t, h, "POST /notes", "", 401)
	want(t, h, "POST /notes", "", 401, cookie(r.jane.Token(clerkauthtest.ExpiresIn(-time.Minute))))
	want(t, h, "GET /notes", "", 401, bearer(r.jane.Token(clerkauthtest.WithoutParty())))
}

func TestNative(t *testing.T) {
	r := newRig(t)
	h := must(newNativeServer(r.Config()))
	want(t, h, "GET /notes", r.jane.User.ID, 200, bearer(r.jane.Token(clerkauthtest.WithoutParty())))
	want(t, h, "GET /notes", "", 401, bearer(r.jane.Token()))
	want(t, h, "GET /notes", "", 401, bearer(r.jane.Token(clerkauthtest.WithoutParty(), clerkauthtest.ExpiresIn(-time.Minute))))
}

type subscriberList struct {
	ids  []string
	away error
}

func (l *subscriberList) Has(_ context.Context, id string) (bool, error) {
	return slices.Contains(l.ids, id), l.away
}

func TestDatabase(t *testing.T) {
	r := newRig(t)
	db := &subscriberList{ids: []string{r.jane.User.ID}}
	h := must(newDatabaseServer(r.Config(), db))
	want(t, h, "GET /archive", r.jane.User.ID, 200, bearer(r.jane.Token()))
	want(t, h, "GET /archive", "", 403, bearer(r.john.Token()))
	db.away = errors.New("connection refused")
	want(t, h, "GET /archive", "", 503, bearer(r.jane.Token()))
	want(t, h, "GET /archive", "", 503, bearer(r.john.Token()))
	want(t, h, "GET /archive", "", 401, bearer("x.y.z"))
}

func TestMetadata(t *testing.T) {
	r := newRig(t)
	h := must(newMetadataServer(r.Config()))
	token := func(v any) edit { return bearer(r.john.Token(clerkauthtest.WithClaim("metadata", v))) }
	want(t, h, "GET /admin", r.john.User.ID, 200, token(map[string]any{"role": "admin"}))
	want(t, h, "GET /admin", r.john.User.ID, 200, token(map[string]any{"role": "owner"}))
	for _, v := range []any{nil, "admin", map[string]any{}, map[string]any{"role": "administrator"}, map[string]any{"role": []string{"admin"}}} {
		want(t, h, "GET /admin", "", 403, token(v))
	}
	want(t, h, "GET /admin", "", 403, bearer(r.jane.Token())) // another role, of the organization
}

func TestWebsocket(t *testing.T) {
	r := newRig(t)
	h := must(newWebsocketServer(r.Config()))
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	open := func(token string) (*websocket.Conn, string, error) {
		conn, _, err := websocket.Dial(ctx, server.URL+"/socket", &websocket.DialOptions{
			HTTPHeader: http.Header{"Cookie": {"__session=" + r.john.Token()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		var caller string
		err = errors.Join(wsjson.Write(ctx, conn, map[string]string{"token": token}), wsjson.Read(ctx, conn, &caller))
		return conn, caller, err
	}
	conn, caller, err := open(r.jane.Token())
	if err != nil || caller != r.jane.User.ID {
		t.Fatalf("%q, %v", caller, err)
	}
	for _, token := range []string{"", "x.y.z", r.jane.Token(clerkauthtest.ExpiresIn(-time.Minute))} {
		if _, caller, err := open(token); websocket.CloseStatus(err) != 3000 {
			t.Errorf("%q, %v", caller, err)
		}
	}
	again := func() error {
		return errors.Join(wsjson.Write(ctx, conn, "more"), wsjson.Read(ctx, conn, &caller))
	}
	if err := again(); err != nil || caller != r.jane.User.ID {
		t.Errorf("%q, %v", caller, err)
	}
	r.Advance(2 * time.Minute)
	if err := again(); websocket.CloseStatus(err) != 3000 || !strings.Contains(err.Error(), "token-expired") {
		t.Errorf("after the token has expired: %v", err)
	}
}

func TestCron(t *testing.T) {
	r := newRig(t)
	h := must(newCronServer(r.Config(), "cron-secret"))
	want(t, h, "POST /cron/digest", "", 200, bearer("cron-secret"))
	want(t, h, "GET /notes", r.jane.User.ID, 200, bearer(r.jane.Token()))
	want(t, h, "POST /cron/digest", "", 401)
	want(t, h, "POST /cron/digest", "", 401, bearer("cron-secret-of-others"))
	want(t, h, "POST /cron/digest", "", 401, bearer(r.jane.Token()))
	want(t, h, "GET /notes", "", 401, bearer("cron-secret"))
}

func TestOrganization(t *testing.T) {
	r := newRig(t)
	h := must(newOrganizationServer(r.Config()))
	jane, john := bearer(r.jane.Token()), bearer(r.john.Token())
	want(t, h, "GET /team", r.john.User.ID, 200, john)
	want(t, h, "GET /teams/acme", r.john.User.ID, 200, john)
	want(t, h, "GET /teams/"+r.john.Organization.ID, r.john.User.ID, 200, john)
	want(t, h, "DELETE /teams/acme", r.jane.User.ID, 200, jane)
	want(t, h, "DELETE /teams/acme", "", 403, john)
	want(t, h, "GET /teams/other", "", 403, john)
	want(t, h, "DELETE /teams/other", "", 403, jane)
	want(t, h, "GET /team", "", 403, bearer(r.SignIn(r.CreateUser("jim@example.com")).Token()))
}

func TestOwnKeys(t *testing.T) {
	r := newRig(t)
	h := must(newKeysServer(r.Config(), func(key string) (string, bool) { return "customer 1", key == "shop_1" }))
	key, blind, lost := r.CreateAPIKey(r.john.User, "reports:read"), r.CreateAPIKey(r.john.User), r.CreateAPIKey(r.john.User, "reports:read")
	r.Revoke(lost)
	want(t, h, "GET /reports", "customer 1", 200, header("X-API-Key", "shop_1"))
	want(t, h, "GET /reports", r.john.User.ID, 200, key.Authorize)
	want(t, h, "GET /reports", r.jane.User.ID, 200, bearer(r.jane.Token()))
	want(t, h, "GET /reports", "", 401, header("X-API-Key", "shop_2"))
	want(t, h, "GET /reports", "", 401, bearer("shop_1"))
	want(t, h, "GET /reports", "", 403, blind.Authorize)
	want(t, h, "GET /reports", "", 401, lost.Authorize)
}

func TestFiber(t *testing.T) {
	r := newRig(t)
	app := must(newFiberApp(r.Config()))
	for caller, edit := range map[string]edit{
		r.jane.User.ID: bearer(r.jane.Token()),
		"":             bearer(r.jane.Token(clerkauthtest.ExpiresIn(-time.Minute))),
	} {
		req := httptest.NewRequest("GET", "/", nil)
		edit(req)
		resp := must(app.Test(req))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || string(body) != "hello "+caller {
			t.Errorf("%d %s, want %q", resp.StatusCode, body, caller)
		}
	}
}

func TestGRPC(t *testing.T) {
	r := newRig(t)
	server := must(newGRPCServer(r.Config()))
	listener := bufconn.Listen(1 << 16)
	go server.Serve(listener)
	defer server.Stop()
	conn := must(grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() })))
	defer conn.Close()
	for token, want := range map[string]codes.Code{
		r.jane.Token(): codes.OK,
		r.john.Token(): codes.PermissionDenied,
		"x.y.z":        codes.Unauthenticated,
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		if _, err := healthpb.NewHealthClient(conn).Check(ctx, nil); status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

func TestLambda(t *testing.T) {
	r := newRig(t)
	function := must(newFunction(r.Config()))
	invoke := func(authorization string) lambdaResponse {
		return must(function(t.Context(), lambdaRequest{Headers: map[string]string{"authorization": authorization}}))
	}
	if got := invoke("Bearer " + r.jane.Token()); got.StatusCode != 200 || got.Body != "hello "+r.jane.User.ID {
		t.Errorf("%+v", got)
	}
	for authorization, want := range map[string]int{"": 401, "Bearer x.y.z": 401, "Basic eDp5": 401, "Bearer " + r.john.Token(): 403} {
		if got := invoke(authorization); got.StatusCode != want {
			t.Errorf("%s: %+v", authorization, got)
		}
	}
	r.RotateKeys()
	r.Fail(clerkauthtest.JWKS, http.StatusBadGateway)
	if got := invoke("Bearer " + r.jane.Token()); got.StatusCode != 503 || got.Headers["Retry-After"] == "" {
		t.Errorf("%+v", got)
	}
}

// table is a users that knows emails.
type table struct {
	mu     sync.Mutex
	emails map[string]string
	newest map[string]int64
}

func (u *table) Put(_ context.Context, id, email string, updatedAt int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if updatedAt >= u.newest[id] {
		u.emails[id], u.newest[id] = email, updatedAt
	}
	return nil
}

func (u *table) Delete(_ context.Context, id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.emails, id)
	u.newest[id] = 1<<63 - 1
	return nil
}

func TestWebhook(t *testing.T) {
	r := newRig(t)
	db := &table{emails: make(map[string]string), newest: make(map[string]int64)}
	h := must(newWebhookServer(r.WebhookConfig(), db))
	const url = "https://api.example.com/webhooks/clerk"
	jane := r.jane.User
	r.Send(t, url, "user.created", jane, clerkauthtest.To(h))
	if db.emails[jane.ID] != jane.Email {
		t.Errorf("%v", db.emails)
	}
	late := r.NewDelivery("user.updated", jane)
	forged := r.NewDelivery("user.created", r.john.User).Request(url)
	forged.Header.Set("svix-signature", "v1,"+strings.Repeat("A", 43)+"=")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, forged)
	if w.Code != http.StatusBadRequest || len(db.emails) != 1 {
		t.Errorf("forged: %d %v", w.Code, db.emails)
	}
	r.Send(t, url, "user.deleted", map[string]any{"id": jane.ID, "object": "user", "deleted": true}, clerkauthtest.To(h))
	late.Send(t, url, clerkauthtest.To(h))
	if len(db.emails) != 0 {
		t.Errorf("deleted: %v", db.emails)
	}
}
