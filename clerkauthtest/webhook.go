package clerkauthtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerkauth/clerkauth"
)

// WebhookSecret returns the signing secret of the instance's webhooks, whsec_….
func (s *Server) WebhookSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(s.webhookKey())
}

func (s *Server) webhookKey() []byte {
	key := sha256.Sum256([]byte("webhooks " + s.secret))
	return key[:]
}

// WebhookConfig returns a configuration for [clerkauth.NewWebhook] with this instance's
// signing secret and clock.
func (s *Server) WebhookConfig() clerkauth.WebhookConfig {
	return clerkauth.WebhookConfig{Secrets: []clerkauth.Secret{clerkauth.NewSecret(s.WebhookSecret())}, Now: s.Now}
}

// Delivery is a webhook event for an endpoint. All copies of it have the same svix-id,
// whenever and however often they are sent.
type Delivery struct {
	// ID is the svix-id.
	ID string
	// Body is the event as JSON. A test may change it before it is sent.
	Body []byte

	srv *Server
}

// NewDelivery returns an event of that type, such as user.created, that occurs now. The
// payload is a *[User] or *[Session] of the instance, which is sent as Clerk would send
// it; JSON in a string or bytes; or a value that encoding/json marshals, such as a
// clerk.User.
func (s *Server) NewDelivery(eventType string, payload any) *Delivery {
	var request struct {
		Client struct {
			IP        string `json:"client_ip"`
			UserAgent string `json:"user_agent"`
		} `json:"http_request"`
	}
	request.Client.IP, request.Client.UserAgent = "203.0.113.9", "clerkauthtest"
	instance := sha256.Sum256([]byte("instance " + s.secret))
	return &Delivery{ID: "msg_" + randomText(), srv: s, Body: mustJSON(map[string]any{
		"object":           "event",
		"type":             eventType,
		"data":             s.payload(eventType, payload),
		"event_attributes": request,
		"instance_id":      "ins_" + hex.EncodeToString(instance[:14]),
		"timestamp":        s.Now().UnixMilli(),
	})}
}

func (s *Server) payload(eventType string, payload any) json.RawMessage {
	deleted := strings.HasSuffix(eventType, ".deleted")
	switch p := payload.(type) {
	case *User:
		if deleted {
			return mustJSON(clerk.DeletedResource{Object: "user", ID: p.ID, Deleted: true})
		}
		return s.resource(s.serveUser, p.ID)
	case *Session:
		session := map[string]json.RawMessage{}
		if err := json.Unmarshal(s.resource(s.serveSession, p.ID), &session); err != nil {
			panic(err) // it is ours
		}
		session["user"] = s.resource(s.serveUser, p.User.ID)
		return mustJSON(session)
	case string:
		return mustJSON(json.RawMessage(p))
	case []byte:
		return mustJSON(json.RawMessage(p))
	}
	return mustJSON(payload)
}

// resource returns the Backend API's representation of a resource.
func (s *Server) resource(serve http.HandlerFunc, id string) json.RawMessage {
	r := &http.Request{}
	r.SetPathValue("id", id)
	a := &answer{status: http.StatusOK, header: make(http.Header)}
	serve(a, r)
	if a.status != http.StatusOK {
		panic("clerkauthtest: " + id + " is of another instance")
	}
	return a.body.Bytes()
}

// Request returns a client request that delivers d to that URL, signed now.
func (d *Delivery) Request(hooksURL string) *http.Request {
	now := d.srv.Now()
	signer, err := svix.NewWebhookRaw(d.srv.webhookKey())
	if err != nil {
		panic(err) // every key is valid
	}
	signature, err := signer.Sign(d.ID, now, d.Body)
	if err != nil {
		panic(err) // everything can be signed
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, hooksURL, bytes.NewReader(d.Body))
	if err != nil {
		panic("clerkauthtest: " + err.Error())
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Svix-Webhooks/1 (clerkauthtest)")
	r.Header.Set("Svix-Id", d.ID)
	r.Header.Set("Svix-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Svix-Signature", signature)
	return r
}

// Attempt is an attempt to deliver one copy.
type Attempt struct {
	// At is when it was made, by the instance's clock.
	At time.Time
	// Status is the status of the response, or 0 if there was none.
	Status int
	// Err is why there was no response, or nil.
	Err error
}

// Accepted reports whether the endpoint acknowledged the delivery with 2xx, as Svix
// requires.
func (a Attempt) Accepted() bool { return a.Status >= 200 && a.Status < 300 }

// schedule is how long Svix waits before each attempt.
var schedule = []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}

// attemptTimeout is how long Svix waits for a response.
const attemptTimeout = 15 * time.Second

// SendOption configures [Delivery.Send].
type SendOption func(*sending)

type sending struct {
	handler http.Handler
	copies  int
	tries   int
	wait    func(time.Duration)
}

// To delivers to a handler without a network; the URL is that of the request that the
// handler gets. It works inside a bubble of testing/synctest.
func To(h http.Handler) SendOption { return func(o *sending) { o.handler = h } }

// Copies sends n copies at the same time, as Svix may. Those that are not accepted are
// sent again. Defaults to 1.
func Copies(n int) SendOption { return func(o *sending) { o.copies = n } }

// Tries stops after n attempts, without failing the test.
func Tries(n int) SendOption { return func(o *sending) { o.tries = n } }

// Sleep sets what is called between attempts. Defaults to [Server.Advance]. Inside a
// bubble of testing/synctest, time.Sleep advances the clock of the whole bubble.
func Sleep(wait func(time.Duration)) SendOption { return func(o *sending) { o.wait = wait } }

// Send makes a delivery with [Server.NewDelivery] and sends it with [Delivery.Send]. The
// result can be sent again, as a late copy.
func (s *Server) Send(tb TB, hooksURL, eventType string, payload any, opts ...SendOption) *Delivery {
	tb.Helper()
	d := s.NewDelivery(eventType, payload)
	d.Send(tb, hooksURL, opts...)
	return d
}

// Send delivers d as Svix does: it waits 15 s for a response, requires 2xx as an
// acknowledgement, follows no redirect, and tries again after 5 s, 5 min, 30 min, 2 h,
// 5 h and twice 10 h. It does not wait for these times, but advances the instance's clock
// by them. It returns every attempt, and fails the test if a copy was not accepted in the
// last one.
//
// Svix may also deliver twice, and out of order: send a delivery again, or after one that
// was made later.
func (d *Delivery) Send(tb TB, hooksURL string, opts ...SendOption) []Attempt {
	tb.Helper()
	o := sending{copies: 1, tries: -1, wait: d.srv.Advance}
	for _, option := range opts {
		option(&o)
	}
	transport := &http.Transport{} // without a proxy, whatever the environment says
	defer transport.CloseIdleConnections()
	var network http.RoundTripper = transport
	if o.handler != nil {
		network = handlerTransport{o.handler}
	}
	var attempts []Attempt
	waiting := o.copies
	for try, wait := range schedule {
		if try == o.tries {
			return attempts
		}
		if try > 0 {
			o.wait(wait)
		}
		round := make([]Attempt, waiting)
		var copies sync.WaitGroup
		for n := range round {
			copies.Go(func() { round[n] = d.attempt(network, hooksURL) })
		}
		copies.Wait()
		for _, a := range round {
			if a.Accepted() {
				waiting--
			}
		}
		attempts = append(attempts, round...)
		if waiting == 0 {
			return attempts
		}
	}
	if o.tries < 0 {
		last := attempts[len(attempts)-1]
		tb.Fatalf("clerkauthtest: %s was not delivered in %d attempts; the last: status %d, error %v", d.ID, len(schedule), last.Status, last.Err)
	}
	return attempts
}

// attempt sends one copy once.
func (d *Delivery) attempt(network http.RoundTripper, hooksURL string) Attempt {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	a := Attempt{At: d.srv.Now()}
	response, err := network.RoundTrip(d.Request(hooksURL).WithContext(ctx))
	if err != nil {
		a.Err = err
		return a
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	a.Status = response.StatusCode
	return a
}

// handlerTransport is a transport to one handler.
type handlerTransport struct{ http.Handler }

var errPanicked = errors.New("clerkauthtest: the handler panicked")

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	seen := r.Clone(ctx)
	seen.RequestURI = r.URL.RequestURI()
	seen.RemoteAddr = "192.0.2.1:1234"
	a := &firstAnswer{answer{header: make(http.Header)}}
	done := make(chan error, 1)
	go func() {
		err := errPanicked
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("%w: %v", errPanicked, v)
			}
			done <- err
		}()
		t.ServeHTTP(a, seen)
		err = nil
	}()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	a.WriteHeader(http.StatusOK)
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(&a.body), Request: r}, nil
}

// firstAnswer keeps the first status, as net/http does.
type firstAnswer struct{ answer }

func (a *firstAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *firstAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.answer.Write(p)
}
