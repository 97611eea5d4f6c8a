package clerkapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Patience bounds how long the transport of [Stream] waits while nothing happens: until the
// next part of the request's body has arrived, or the header of the response.
const Patience = 30 * time.Second

// ErrSilent is the error of a request for which nothing happened for the time of [Patience].
var ErrSilent = errors.New("no response in time")

// Stream returns a transport for requests and responses of any length and duration. It
// reaches no other host than that of base and follows no redirect. It leaves out trailers of
// responses.
func Stream(transport http.RoundTripper, base *url.URL) http.RoundTripper {
	return stream{oneHost{transport, base}}
}

type stream struct{ next http.RoundTripper }

func (s stream) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	// The body may be read while the response is: the timer must then do nothing, because
	// a response may pause for any time.
	var responded atomic.Bool
	timer := time.AfterFunc(Patience, func() {
		if !responded.Load() {
			cancel(ErrSilent)
		}
	})
	out := r.WithContext(ctx)
	if r.Body != nil {
		out.Body = &progress{r.Body, timer}
	}
	resp, err := s.next.RoundTrip(out)
	responded.Store(true)
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrSilent) {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	own := *resp // the transport adds trailers to its response when the body has ended
	own.Trailer, own.Request = nil, r
	own.Body = &endingBody{resp.Body, cancel}
	return &own, nil
}

// progress is the body of a request. What is read from it defers the timer.
type progress struct {
	io.ReadCloser
	timer *time.Timer
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.timer.Reset(Patience)
	return n, err
}

// endingBody is the body of a response. To close it ends the request.
type endingBody struct {
	io.ReadCloser
	end context.CancelCauseFunc
}

func (b *endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.end(nil)
	return err
}
