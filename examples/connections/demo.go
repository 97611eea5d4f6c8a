package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	coder "github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/gorilla/websocket"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// dialer connects to the server.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// demo is a client of the server.
type demo struct {
	out    io.Writer
	clerk  *clerkauthtest.Server
	auth   *clerkauth.Authenticator
	server http.Handler
	dial   dialer
	http   *http.Client
	host   string
	failed int

	admin, member *clerkauthtest.Session
}

// demonstrate serves on listener, connects in every way, and returns an error if what
// happens is not what is expected.
func demonstrate(ctx context.Context, out io.Writer, clerk *clerkauthtest.Server, listener net.Listener, dial dialer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	auth, err := clerkauth.New(configure(clerk.Config()))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	transport := &http.Transport{DialContext: dial}
	defer transport.CloseIdleConnections()
	d := &demo{
		out: out, clerk: clerk, auth: auth, server: newServer(auth), dial: dial,
		http:   &http.Client{Transport: transport},
		host:   strings.TrimPrefix(clerk.Origin(), "http://"),
		admin:  clerk.SignIn(clerk.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin")),
		member: clerk.SignIn(clerk.CreateUser("john@example.com"), clerkauthtest.InOrganization("acme", "org:member")),
	}
	defer serve(d.server, listener)()

	for _, part := range []func(context.Context){d.subprotocol, d.stream, d.graphQL, d.function, d.firstMessage, d.queue, d.outage} {
		part(ctx)
	}
	fmt.Fprintf(out, "%d failed\n", d.failed)
	if d.failed > 0 {
		return errors.New("something was not as expected")
	}
	return nil
}

// expect compares what happened with what was expected.
func (d *demo) expect(shows, seen, want string) {
	verdict := "ok"
	if !strings.Contains(seen, want) || want == "" {
		verdict = "FAILED"
		d.failed++
	}
	fmt.Fprintf(d.out, "%-6s %s: %s\n", verdict, shows, strings.TrimSpace(seen))
}

func (d *demo) firstMessage(ctx context.Context) {
	fmt.Fprintln(d.out, "# gorilla/websocket: the token is the first message")
	hello, clear := message{Text: "hello"}, message{Clear: true}
	admin, member := message{Token: d.admin.Token()}, message{Token: d.member.Token()}
	d.expect("jane chats", d.chat(ctx, admin, hello), d.admin.User.ID)
	d.expect("nobody else does", d.chat(ctx, hello), "3000 session-token-and-uat-missing")
	d.expect("not with something else", d.chat(ctx, message{Token: "a.b.c"}), "3000 token-invalid")
	d.expect("john may not clear the chat", d.chat(ctx, member, clear), "forbidden")
	d.expect("jane may", d.chat(ctx, admin, clear), d.admin.User.ID)
	d.clerk.Advance(-2 * time.Minute)
	old := message{Token: d.admin.Token()}
	d.clerk.Advance(2 * time.Minute)
	d.expect("an expired token is rejected", d.chat(ctx, old), "token-expired")
	d.expect("and another requested", d.chat(ctx, old, message{Token: d.admin.Token()}, hello), d.admin.User.ID)

	conn, err := d.openChat(ctx)
	if err != nil {
		d.expect("the chat is open", err.Error(), "no error")
		return
	}
	defer func() { _ = conn.Close() }()
	d.expect("a token opens the chat", say(conn, message{Token: d.admin.Token()}), d.admin.User.ID)
	d.clerk.Advance(2 * time.Minute)
	d.expect("it expires", say(conn, hello), "token-expired")
	d.expect("a new one comes", say(conn, message{Token: d.admin.Token()}), d.admin.User.ID)
	d.expect("the chat goes on", say(conn, hello), d.admin.User.ID)
}

func (d *demo) subprotocol(ctx context.Context) {
	fmt.Fprintln(d.out, "# coder/websocket: the token is offered as a subprotocol")
	token := d.admin.Token(clerkauthtest.ExpiresIn(2 * time.Second))
	d.expect("jane's text comes back", d.echo(ctx, d.clerk.Origin(), token, "hello"), d.admin.User.ID+": hello")
	d.expect("a page of another origin cannot use her token", d.echo(ctx, "https://evil.example", token, ""), "403")
	d.expect("without a token there is no connection", d.echo(ctx, d.clerk.Origin(), "", ""), "401")
	d.expect("it ends when the token expires", d.echo(ctx, d.clerk.Origin(), token, "hello", "wait"), "3000")
	d.expect("which then opens no other", d.echo(ctx, d.clerk.Origin(), d.admin.Token(clerkauthtest.ExpiresIn(-time.Minute)), ""), "401")
}

func (d *demo) stream(ctx context.Context) {
	fmt.Fprintln(d.out, "# server-sent events")
	token := d.member.Token(clerkauthtest.ExpiresIn(2 * time.Second))
	d.expect("john reads until his token expires", d.feed(ctx, token), d.member.User.ID+" event: token-expired")
	d.expect("a stream requires a token", d.feed(ctx, ""), "401")
	d.expect("one that has not expired", d.feed(ctx, d.member.Token(clerkauthtest.ExpiresIn(-time.Minute))), "401")
}

func (d *demo) graphQL(ctx context.Context) {
	fmt.Fprintln(d.out, "# gqlgen: the token is in connection_init")
	token := d.admin.Token(clerkauthtest.ExpiresIn(2 * time.Second))
	d.expect("jane is subscribed until her token expires", d.subscribe(ctx, token), `"ticks":"`+d.admin.User.ID+`"`)
	d.expect("a subscription requires a token", d.subscribe(ctx, ""), "closed with 4401")
	d.expect("one that has not expired", d.subscribe(ctx, d.admin.Token(clerkauthtest.ExpiresIn(-time.Minute))), "closed with 4401")
	d.expect("queries are sent by POST", d.query(ctx, d.admin.Token()), `"me":"`+d.admin.User.ID+`"`)
	d.expect("and require a token, too", d.query(ctx, ""), "401")
}

func (d *demo) function(ctx context.Context) {
	fmt.Fprintln(d.out, "# AWS Lambda: requests are events")
	d.expect("jane calls the function", d.invoke(ctx, "Bearer "+d.admin.Token()), `"me":"`+d.admin.User.ID+`"`)
	d.expect("nobody else does", d.invoke(ctx, ""), "401 Bearer")
	d.expect("nor two tokens", d.invoke(ctx, "Bearer "+d.admin.Token()+",Bearer "+d.member.Token()), "401")
}

func (d *demo) queue(ctx context.Context) {
	fmt.Fprintln(d.out, "# a queue: the token is in the message")
	key := d.clerk.CreateAPIKey(d.member.User, "reports:write")
	token := d.admin.Token()
	d.expect("jane's message is handled", d.take(ctx, token), d.admin.User.ID)
	d.expect("so is that of john's program", d.take(ctx, key.Token), d.member.User.ID)
	d.expect("an API key needs the scope", d.take(ctx, d.clerk.CreateAPIKey(d.member.User).Token), "dropped: insufficient-scope")
	d.clerk.Advance(2 * time.Minute)
	d.expect("a session token that waited for minutes is of no use", d.take(ctx, token), "dropped: token-expired")
	d.expect("an API key is", d.take(ctx, key.Token), d.member.User.ID)
	d.clerk.Revoke(key)
	d.clerk.Advance(time.Minute) // until the cache has forgotten it
	d.expect("until it is revoked", d.take(ctx, key.Token), "dropped: token-invalid")
}

// outage connects with tokens of a new key, which cannot be fetched.
func (d *demo) outage(ctx context.Context) {
	d.clerk.RotateKeys()
	d.clerk.Fail(clerkauthtest.Backend|clerkauthtest.Frontend, http.StatusServiceUnavailable)
	fmt.Fprintln(d.out, "# while Clerk is unavailable, clients are told to try again")
	token := d.admin.Token()
	d.expect("the chat closes", d.chat(ctx, message{Token: token}), "1013 jwk-remote-failed-to-load")
	d.expect("the echo is unavailable", d.echo(ctx, d.clerk.Origin(), token, ""), "503")
	d.expect("so is the feed", d.feed(ctx, token), "503")
	d.expect("a GraphQL connection closes", d.subscribe(ctx, token), "closed with 1013")
	d.expect("a function is unavailable", d.invoke(ctx, "Bearer "+token), "503")
	d.expect("a message stays in the queue", d.take(ctx, token), "delivered again")
}

// openChat connects to the chat as a page of this server does.
func (d *demo) openChat(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{NetDialContext: d.dial}
	conn, resp, err := dialer.DialContext(ctx, "ws://"+d.host+"/chat", http.Header{"Origin": {d.clerk.Origin()}})
	if resp != nil {
		_ = resp.Body.Close()
	}
	return conn, err
}

// chat sends messages to the chat and returns the last reply.
func (d *demo) chat(ctx context.Context, messages ...message) (last string) {
	conn, err := d.openChat(ctx)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	for _, m := range messages {
		last = say(conn, m)
	}
	return last
}

func say(conn *websocket.Conn, m message) string {
	if err := conn.WriteJSON(m); err != nil {
		return err.Error()
	}
	_, text, err := conn.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return fmt.Sprint(closed.Code, " ", closed.Text)
	} else if err != nil {
		return err.Error()
	}
	return string(text)
}

// echo sends texts, and returns the last that comes back. "wait" is not sent, and waits for
// the end of the connection.
func (d *demo) echo(ctx context.Context, origin, token string, texts ...string) string {
	offers := []string{"echo"}
	if token != "" {
		offers = append(offers, "token."+token)
	}
	conn, resp, err := coder.Dial(ctx, "ws://"+d.host+"/echo", &coder.DialOptions{
		HTTPClient: d.http, HTTPHeader: http.Header{"Origin": {origin}}, Subprotocols: offers,
	})
	if err != nil {
		if resp != nil {
			return resp.Status
		}
		return err.Error()
	}
	defer func() { _ = conn.CloseNow() }()
	last := ""
	for _, text := range texts {
		if text != "wait" {
			if err := conn.Write(ctx, coder.MessageText, []byte(text)); err != nil {
				return err.Error()
			}
		}
		_, b, err := conn.Read(ctx)
		if err != nil {
			return fmt.Sprint(int(coder.CloseStatus(err)))
		}
		last = string(b)
	}
	return last
}

// feed returns the events of a stream that ends, or the status of a response without one.
func (d *demo) feed(ctx context.Context, token string) string {
	resp, err := d.send(ctx, http.MethodGet, "/feed", token, "")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	var seen []string
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		seen = append(seen, strings.Fields(strings.TrimPrefix(lines.Text(), "data:"))...)
	}
	return strings.Join(seen, " ")
}

// subscribe returns the first result of a subscription that ends, or the error of the
// connection.
func (d *demo) subscribe(ctx context.Context, token string) string {
	conn, _, err := coder.Dial(ctx, "ws://"+d.host+"/graphql", &coder.DialOptions{HTTPClient: d.http, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.CloseNow() }()
	_ = wsjson.Write(ctx, conn, map[string]any{"type": "connection_init", "payload": map[string]string{"authorization": "Bearer " + token}})
	first := ""
	for {
		_, text, err := conn.Read(ctx)
		switch {
		case err != nil && first != "" && coder.CloseStatus(err) == coder.StatusNormalClosure:
			return first
		case err != nil:
			return fmt.Sprint("closed with ", int(coder.CloseStatus(err)))
		case strings.Contains(string(text), "connection_ack"):
			_ = wsjson.Write(ctx, conn, map[string]any{"id": "1", "type": "subscribe", "payload": map[string]string{"query": "subscription { ticks }"}})
		case first == "" && strings.Contains(string(text), "ticks"):
			first = string(text)
		}
	}
}

func (d *demo) query(ctx context.Context, token string) string {
	resp, err := d.send(ctx, http.MethodPost, "/graphql", token, `{"query":"{ me }"}`)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(resp.StatusCode, " ", string(text))
}

func (d *demo) send(ctx context.Context, method, path, token, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+d.host+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return d.http.Do(r)
}

// invoke calls the function that has the same server.
func (d *demo) invoke(ctx context.Context, authorization string) string {
	e := event{RawPath: "/graphql", Headers: map[string]string{"content-type": "application/json"}, Body: `{"query":"{ me }"}`}
	e.RequestContext.DomainName = d.host
	e.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: http.MethodPost, SourceIP: "192.0.2.1"}
	if authorization != "" {
		e.Headers["authorization"] = authorization
	}
	out, err := function(d.server)(ctx, e)
	if err != nil {
		return err.Error()
	}
	body, err := base64.StdEncoding.DecodeString(out.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(out.StatusCode, " ", out.Headers["Www-Authenticate"], " ", string(body))
}

// take has the queue's worker take a message.
func (d *demo) take(ctx context.Context, token string) string {
	switch o := take(ctx, d.auth, job{Token: token, Report: "sales"}); {
	case o.drop != nil:
		return "dropped: " + reason(o.drop)
	case o.retry > 0:
		return fmt.Sprint("to be delivered again in ", o.retry)
	default:
		return "handled for " + o.by
	}
}
