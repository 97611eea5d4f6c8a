package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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
	setup, guard  string
	naive         bool
	requests      int
	reached       int // the protected handler
	benign        int // ordinary requests that the public handler answered
	falseRefusals int
	findings      []string
}

// matrix sends every target to every setup in every shape, without a guard and
// with each, and returns what happened. Protocols are those of names.
func matrix(protocols ...string) ([]row, error) {
	type job struct {
		setup setup
		shape shape
	}
	jobs := make(chan job)
	var mu sync.Mutex
	var rows []row
	var errs []error
	var workers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range jobs {
				r, err := j.setup.try(j.shape, protocols)
				mu.Lock()
				rows, errs = append(rows, r...), append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, s := range setups() {
		for _, sh := range shapes {
			jobs <- job{s, sh}
		}
	}
	close(jobs)
	workers.Wait()
	return rows, errors.Join(errs...)
}

// try runs all guards in front of one application.
func (s setup) try(sh shape, protocols []string) ([]row, error) {
	list := s.targets()
	bare, err := s.run(sh, nil, list, protocols)
	if err != nil {
		return nil, err
	}
	first := row{setup: s.name, guard: noGuard, requests: len(bare), reached: count(bare, secret)}
	for at, rep := range bare {
		if at.target.benign && rep.reached == public {
			first.benign++
		}
	}
	rows := []row{first}
	for _, g := range append(s.guards(sh), clerkGuards(s.mount)...) {
		if g.only != "" && g.only != s.name || s.app != nil && g.netHTTP {
			continue
		}
		guarded, err := s.run(sh, g, list, protocols)
		if err != nil {
			return nil, err
		}
		r := row{setup: s.name, guard: g.name, naive: g.naive, requests: len(guarded), reached: count(guarded, secret)}
		for at, rep := range guarded {
			if rep.reached == secret {
				r.findings = append(r.findings, fmt.Sprintf("%s %c %s: %s reaches the protected handler past %s", s.name, sh, at.protocol, at.target, g.name))
			}
			before := bare[at].reached
			if at.target.benign && g.opens(sh) && before == public && rep.reached != public {
				r.falseRefusals++
				r.findings = append(r.findings, fmt.Sprintf("%s %c %s: %s is refused by %s with %d", s.name, sh, at.protocol, at.target, g.name, rep.status))
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

const noGuard = "no guard"

func (t target) String() string { return t.method + " " + t.path }

// targets are those to send to s: with its prefix, and as they are.
func (s setup) targets() []target {
	list := targets()
	if s.prefix == "" {
		return list
	}
	for _, t := range targets() {
		scheme, rest, ok := strings.Cut(t.path, "://")
		switch i := strings.IndexByte(rest, '/'); {
		case ok && i >= 0:
			t.path = scheme + "://" + rest[:i] + s.prefix + rest[i:]
		case strings.HasPrefix(t.path, "/"):
			t.path = s.prefix + t.path
		default:
			continue
		}
		list = append(list, t)
	}
	for _, path := range []string{"/appadmin/users", "/app../admin/users", "/x/../app/admin/users", "//app/admin/users", "/APP/admin/users", "/%61pp/admin/users", "/app%2fadmin%2fusers"} {
		list = append(list, target{method: "GET", path: path})
	}
	return list
}

// sent is one request of a run.
type sent struct {
	protocol string
	target   target
}

// run starts the application with a guard, or without one if it is nil, sends
// everything, and returns the replies.
func (s setup) run(sh shape, g *guard, list []target, protocols []string) (map[sent]reply, error) {
	addr, stop, err := s.serve(sh, g)
	if err != nil {
		return nil, err
	}
	defer stop()
	replies := map[sent]reply{}
	for _, protocol := range protocols {
		var c client = &client1{addr: addr}
		if protocol == "h2c" {
			if s.app != nil {
				continue // fasthttp speaks HTTP/1.1 alone
			}
			c = &client2{addr: addr}
		}
		for _, t := range list {
			rep, err := c.send(t)
			if errors.Is(err, errNoHTTP2) {
				continue
			}
			if err != nil {
				c.close()
				return nil, fmt.Errorf("%s %c %s %s: %w", s.name, sh, protocol, t, err)
			}
			replies[sent{protocol, t}] = rep
		}
		c.close()
	}
	return replies, nil
}

// serve starts the application on a loopback port.
func (s setup) serve(sh shape, g *guard) (addr string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	h := handlers{}
	if g != nil {
		h.protect = g.handler
	}
	if s.app != nil {
		if g != nil && g.decide == nil {
			g = nil // it stands at the handler
		}
		app := s.app(sh, h, g)
		go app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) // its error is that of Close
		return listener.Addr().String(), func() { listener.Close() }, nil
	}
	srv := &http.Server{Handler: s.handler(sh, h, g), Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(listener) // its error is that of Close
	return listener.Addr().String(), func() { srv.Close() }, nil
}

func (s setup) handler(sh shape, h handlers, g *guard) http.Handler {
	if g != nil && g.build != nil {
		return g.build(sh, h)
	}
	return s.build(sh, h, g.middleware())
}

func count(replies map[sent]reply, reached string) (n int) {
	for _, r := range replies {
		if r.reached == reached {
			n++
		}
	}
	return n
}

// sum adds rows up.
func sum(rows []row) (s summary) {
	for _, r := range rows {
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
