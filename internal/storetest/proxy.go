package storetest

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// Proxy forwards connections between a client and a server, on sockets, and can delay
// the server's responses.
type Proxy struct {
	listener net.Listener
	target   string
	accepted atomic.Int32

	mu    sync.Mutex
	free  *sync.Cond // of mu: held has changed
	held  bool
	conns []net.Conn
	all   sync.WaitGroup
}

// NewProxy listens on the socket at path and forwards to the one at target.
func NewProxy(path, target string) (*Proxy, error) {
	_ = os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	_ = os.Chmod(path, 0o777) //nolint:gosec // in a directory of the test's own
	p := &Proxy{listener: listener, target: target}
	p.free = sync.NewCond(&p.mu)
	p.all.Go(p.serve)
	return p, nil
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		server, err := net.Dial("unix", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.all.Go(func() { p.copy(server, client, false) })
		p.all.Go(func() { p.copy(client, server, true) })
	}
}

func (p *Proxy) copy(to, from net.Conn, answers bool) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if answers {
			p.mu.Lock()
			for p.held {
				p.free.Wait()
			}
			p.mu.Unlock()
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Accepted returns how many connections there were.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// Hold delays responses until resume is called.
func (p *Proxy) Hold() (resume func()) {
	p.set(true)
	return func() { p.set(false) }
}

func (p *Proxy) set(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	p.free.Broadcast()
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// Close stops the proxy, and waits for its goroutines.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.set(false)
	p.Cut()
	p.all.Wait()
}
