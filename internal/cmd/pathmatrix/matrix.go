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
	benign        int // ordinary requests that reached the public handler
	falseRefusals int
	findings      []string
}

// scene is one application, with the requests to send and the guards to test.
type scene struct {
	part    string // of the matrix
	setup   string // the router with its options
	layout  string // the routes of the application
	targets []target
	guards  []*guard
	// start returns the application with g, which may be nil: a handler or a fiber app.
	start func(g *guard) (http.Handler, fastApp)
}

// The parts of the matrix.
const (
	pathPart  = "paths"
	hostPart  = "hosts"
	classPart = "classes"
)

// scenes returns all scenes.
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

// matrix sends the targets of every scene, without a guard and with each, and returns the
// results.
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

// try runs one application without a guard and with each.
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
		// A guard passes a request on unchanged or not at all, so a request that does not
		// reach the handler without a guard does not reach it with one.
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

// benign reports whether the request is an ordinary one. In HTTP/2 a target with a host is
// not.
func (at sent) benign() bool {
	return at.target.benign && (at.protocol == "http/1.1" || strings.HasPrefix(at.target.path, "/"))
}

// run starts the application with g, or without a guard if g is nil, sends the wanted
// requests, and returns the replies.
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
				continue // fasthttp supports only HTTP/1.1
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

// serve starts the application on a loopback port. fast reports whether the server is
// fasthttp's.
func (s scene) serve(g *guard) (addr string, fast bool, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", false, nil, err
	}
	handler, app := s.start(g)
	if app != nil {
		go app.serve(listener) // it returns an error after Close
		return listener.Addr().String(), true, func() { listener.Close() }, nil
	}
	srv := &http.Server{Handler: recovered(handler), Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(listener) // it returns an error after Close
	return listener.Addr().String(), false, func() { srv.Close() }, nil
}

// recovered responds with 500 if a router panics, instead of closing the connection.
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

// sum adds up the rows of a part, or all rows if part is "".
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

// floors are the minimum numbers of requests that must reach the protected handler without
// a guard, for each protocol: with fewer, that none bypasses a guard means little.
var floors = map[string]int{pathPart: 8_000, hostPart: 8_000, classPart: 2_000}

// parts are all parts, in order.
var parts = []string{pathPart, hostPart, classPart}

// write prints the table: a line per setup, a column per guard, and in each cell the number
// of requests that reached the protected handler.
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
