package clerkauthtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// body is the body of a response as it is sent.
type body struct {
	ctx  context.Context
	rest []byte
	how  int
}

// newBody returns the body of a. Reading it fails when ctx has ended.
func (a *answer) newBody(ctx context.Context) *body {
	b := &body{ctx, a.body.Bytes(), a.how}
	if a.how == Cut {
		b.rest = b.rest[:len(b.rest)/2]
	}
	return b
}

func (b *body) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	if len(b.rest) == 0 {
		if b.how == Cut {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, io.EOF
	}
	if b.how == SlowBody && len(p) > 0 {
		second := time.NewTimer(time.Second)
		defer second.Stop()
		select {
		case <-second.C:
		case <-b.ctx.Done():
			return 0, context.Cause(b.ctx)
		}
		p = p[:1]
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

// memory is a transport to a Server in memory. It works in the caller's goroutine and
// waits only for the request's context and for timers, which belong to the caller's
// bubble if there is one.
type memory struct{ srv *Server }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	ctx := r.Context()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case m.srv.closed.Load():
		return nil, errClosed
	case r.URL.Scheme != "https" || !slices.Contains(m.srv.hosts(), r.URL.Host):
		return nil, fmt.Errorf("clerkauthtest: %s is not here: in memory there is only %s", r.URL.Host, strings.Join(m.srv.hosts(), ", "))
	}
	a := m.srv.answer(r)
	if a.how == Hang {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          a.newBody(ctx),
		ContentLength: int64(a.body.Len()),
		Request:       r,
	}, nil
}

// listen serves on loopback until s.close is called.
func (s *Server) listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.URL = "http://" + listener.Addr().String()
	s.transport = &http.Transport{} // without a proxy, whatever the environment says

	ctx, cancel := context.WithCancelCause(context.Background())
	var serving, conns sync.WaitGroup
	server := &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed:
				conns.Done()
			}
		},
	}
	serving.Go(func() { _ = server.Serve(listener) })
	s.close = func() {
		cancel(errClosed)
		_ = server.Close()
		serving.Wait()
		_ = server.Close() // again, for connections that were accepted in the meantime
		conns.Wait()
	}
	return nil
}

// serve responds to a request on loopback.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	a := s.answer(r)
	if a.how == Hang {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.body.Len() > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	w.WriteHeader(a.status)
	if err := send(w, a.newBody(r.Context())); err != nil {
		panic(http.ErrAbortHandler) // net/http closes the connection and logs nothing
	}
}

// send writes b, and flushes each part.
func send(w http.ResponseWriter, b *body) error {
	control := http.NewResponseController(w)
	p := make([]byte, 4<<10)
	for {
		if err := control.Flush(); err != nil { // the header must not wait for a slow body
			return err
		}
		n, err := b.Read(p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
	}
}
