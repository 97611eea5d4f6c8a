package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/gofiber/fiber/v3"
)

// summary is the last line that the program prints.
type summary struct {
	Requests            int `json:"requests"`
	ReachedWithoutGuard int `json:"reached_without_guard"`
	Bypasses            int `json:"bypasses"`
	FalseRefusals       int `json:"false_refusals"`
}

// row counts what happened to one guard in front of one setup.
type row struct {
	part          string
	setup, guard  string
	naive         bool
	requests      int
	reached       int // the protected handler
	benign        int // ordinary requests that the public handler answered
	falseRefusals int
	findings      []string
}

// scene is one application, with what is sent to it and the guards that are tried
// in front of it.
type scene struct {
	part    string // of the matrix
	setup   string // the router with its options
	layout  string // what the application routes where
	targets []target
	guards  []*guard
	// start returns the application with g, which may be nil: a handler, or an
	// app of fiber's.
	start func(g *guard) (http.Handler, *fiber.App)
}

// The parts of the matrix.
const (
	pathPart  = "paths"
	hostPart  = "hosts"
	classPart = "classes"
)

// scenes are all of them.
func scenes() []scene {
	var list []scene
	for _, s := range setups() {
		for _, sh := range shapes {
			list = append(list, s.scene(sh))
		}
	}
	list = append(list, hostScenes()...)
	return append(list, classScenes()...)
}

// matrix sends the targets of every scene, without a guard and with each, and
// returns what happened.
func matrix(list []scene, protocols ...string) ([]row, error) {
	jobs := make(chan scene)
	var mu sync.Mutex
	var rows []row
	var errs []error
	var workers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for s := range jobs {
				r, err := s.try(protocols)
				mu.Lock()
				rows, errs = append(rows, r...), append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, s := range list {
		jobs <- s
	}
	close(jobs)
	workers.Wait()
	return rows, errors.Join(errs...)
}

// try runs all guards in front of one application.
func (s scene) try(protocols []string) ([]row, error) {
	bare, err := s.run(nil, protocols, func(sent) bool { return true })
	if err != nil {
		return nil, err
	}
	first := row{part: s.part, setup: s.setup, guard: noGuard, requests: len(bare), reached: count(bare, secret)}
	for at, rep := range bare {
		if at.benign() && rep.reached == public {
			first.benign++
		}
	}
	rows := []row{first}
	for _, g := range s.guards {
		// A guard hands a request on as it is, or not at all, so that what shows
		// nothing without one shows nothing with one.
		guarded, err := s.run(g, protocols, func(at sent) bool {
			return g.build != nil || at.target.benign || bare[at].reached == secret
		})
		if err != nil {
			return nil, err
		}
		r := row{part: s.part, setup: s.setup, guard: g.name, naive: g.naive, requests: len(guarded), reached: count(guarded, secret)}
		for at, rep := range guarded {
			if rep.reached == secret {
				r.findings = append(r.findings, fmt.Sprintf("%s, %s, %s: %s reaches the protected handler past %s", s.setup, s.layout, at.protocol, at.target, g.name))
			}
			if at.benign() && g.opens && bare[at].reached == public && rep.reached != public {
				r.falseRefusals++
				r.findings = append(r.findings, fmt.Sprintf("%s, %s, %s: %s is refused by %s with %d", s.setup, s.layout, at.protocol, at.target, g.name, rep.status))
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

const noGuard = "no guard"

// sent is one request of a run.
type sent struct {
	protocol string
	target   target
}

// benign reports whether the request is an ordinary one. In HTTP/2 a target that
// names a host is none.
func (at sent) benign() bool {
	return at.target.benign && (at.protocol == "http/1.1" || strings.HasPrefix(at.target.path, "/"))
}

// run starts the application with a guard, or without one if it is nil, sends
// what is wanted, and returns the replies.
func (s scene) run(g *guard, protocols []string, wanted func(sent) bool) (map[sent]reply, error) {
	addr, fast, stop, err := s.serve(g)
	if err != nil {
		return nil, err
	}
	defer stop()
	replies := map[sent]reply{}
	for _, protocol := range protocols {
		var c client = &client1{addr: addr}
		if protocol == "h2c" {
			if fast {
				continue // fasthttp speaks HTTP/1.1 alone
			}
			c = &client2{addr: addr}
		}
		for _, t := range s.targets {
			if !wanted(sent{protocol, t}) {
				continue
			}
			rep, err := c.send(t)
			if errors.Is(err, errNoHTTP2) {
				continue
			}
			if err != nil {
				c.close()
				return nil, fmt.Errorf("%s, %s, %s: %s: %w", s.setup, s.layout, protocol, t, err)
			}
			replies[sent{protocol, t}] = rep
		}
		c.close()
	}
	return replies, nil
}

// serve starts the application on a loopback port. It reports whether that is
// fasthttp's server.
func (s scene) serve(g *guard) (addr string, fast bool, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", false, nil, err
	}
	handler, app := s.start(g)
	if app != nil {
		go app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) // its error is that of Close
		return listener.Addr().String(), true, func() { listener.Close() }, nil
	}
	srv := &http.Server{Handler: recovered(handler), Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(listener) // its error is that of Close
	return listener.Addr().String(), false, func() { srv.Close() }, nil
}

// recovered answers 500 where a router panics, instead of hanging up.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func count(replies map[sent]reply, reached string) (n int) {
	for _, r := range replies {
		if r.reached == reached {
			n++
		}
	}
	return n
}

// sum adds rows up, those of one part or, if it is "", all.
func sum(rows []row, part string) (s summary) {
	for _, r := range rows {
		if part != "" && r.part != part {
			continue
		}
		s.Requests += r.requests
		switch {
		case r.guard == noGuard:
			s.ReachedWithoutGuard += r.reached
		case !r.naive:
			s.Bypasses += r.reached
			s.FalseRefusals += r.falseRefusals
		}
	}
	return s
}

// floors are how many requests must reach the protected handler without a guard,
// for each protocol: with fewer, that none does past a guard proves nothing.
var floors = map[string]int{pathPart: 8_000, hostPart: 8_000, classPart: 2_000}

// parts are all of them, in order.
var parts = []string{pathPart, hostPart, classPart}

// write prints the table: a line a setup, a column a guard, and in each cell how
// many requests reached the protected handler.
func write(w io.Writer, rows []row) error {
	var names, guards []string
	cells := map[[2]string]int{}
	requests := map[string]int{}
	for _, r := range rows {
		names, guards = append(names, r.setup), append(guards, r.guard)
		cells[[2]string{r.setup, r.guard}] += r.reached
		requests[r.setup] += r.requests
	}
	slices.Sort(names)
	names = slices.Compact(names)
	slices.SortFunc(guards, func(a, b string) int {
		if (a == noGuard) != (b == noGuard) {
			return map[bool]int{true: -1, false: 1}[a == noGuard]
		}
		return cmp.Compare(a, b)
	})
	guards = slices.Compact(guards)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "requests that reach the protected handler")
	fmt.Fprintf(t, "setup\trequests\t%s\n", strings.Join(guards, "\t"))
	for _, name := range names {
		fmt.Fprintf(t, "%s\t%d", name, requests[name])
		for _, g := range guards {
			if n, ok := cells[[2]string{name, g}]; ok {
				fmt.Fprintf(t, "\t%d", n)
			} else {
				fmt.Fprint(t, "\t")
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
