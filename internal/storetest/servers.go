package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Server is a server program that runs in a directory of its own and can be crashed
// and restarted.
type Server struct {
	Dir string // short enough for the path of a socket

	stopSignal os.Signal
	start      func() *exec.Cmd
	ready      func(context.Context) error
	running    *exec.Cmd
	output     *output
}

// startTime bounds how long a server takes to accept connections.
const startTime = 30 * time.Second

// NewRedis starts Redis on a socket in a directory of its own. It writes to disk before
// it responds.
func NewRedis(ready func(ctx context.Context, socket string) error) (*Server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is not installed: run stores/setup.sh, or apt-get install redis-server")
	}
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, stopSignal: syscall.SIGKILL}
	s.start = func() *exec.Cmd {
		return command("", program, "--port", "0", "--unixsocket", s.Socket(), "--dir", dir,
			"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction")
	}
	s.ready = func(ctx context.Context) error { return ready(ctx, s.Socket()) }
	return s, s.begin()
}

// Socket returns where Redis listens.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "socket") }

// NewPostgres creates a PostgreSQL cluster in a directory of its own and starts it, on
// a socket in that directory, with a superuser named postgres that needs no password.
func NewPostgres(ready func(ctx context.Context, address string) error) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	// PostgreSQL refuses to be run by root.
	as := ""
	if os.Getuid() == 0 {
		if as, err = giveAway(dir); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := command(as, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", "postgres",
		"--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// On SIGQUIT PostgreSQL exits without a shutdown, as in a crash.
	s := &Server{Dir: dir, stopSignal: syscall.SIGQUIT}
	s.start = func() *exec.Cmd {
		cmd := command(as, filepath.Join(bin, "postgres"), "-D", data, "-k", dir,
			"-c", "listen_addresses=", "-c", "max_connections=100", "-c", "fsync=off")
		cmd.Dir = dir
		return cmd
	}
	s.ready = func(ctx context.Context) error { return ready(ctx, s.Address()) }
	return s, s.begin()
}

// Address returns how to connect to PostgreSQL.
func (s *Server) Address() string { return "host=" + s.Dir + " user=postgres dbname=postgres" }

func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // where Debian has it
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if program, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(program), nil
	}
	return "", errors.New("postgresql is not installed: run stores/setup.sh, or apt-get install postgresql")
}

// giveAway makes an unprivileged user the owner of dir, and returns the user's name.
func giveAway(dir string) (string, error) {
	for _, name := range []string{"postgres", "nobody"} {
		owner, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(owner.Uid)
		if err != nil {
			return "", err
		}
		gid, err := strconv.Atoi(owner.Gid)
		if err != nil {
			return "", err
		}
		return name, os.Chown(dir, uid, gid)
	}
	return "", errors.New("postgresql cannot be run by root, and there is no user postgres or nobody")
}

// command returns a command to run as the user named as, or the current user if as is
// "". Where setpriv is installed, on Linux, it is killed when this process ends.
func command(as, name string, args ...string) *exec.Cmd {
	full := append([]string{name}, args...)
	if setpriv, err := exec.LookPath("setpriv"); err == nil {
		prefix := []string{setpriv, "--pdeathsig", "KILL"}
		if as != "" {
			prefix = append(prefix, "--reuid", as, "--regid", as, "--init-groups")
		}
		full = append(append(prefix, "--"), full...)
	}
	return exec.Command(full[0], full[1:]...) //nolint:gosec // a server and its options
}

func (s *Server) begin() error {
	if err := s.Start(); err != nil {
		s.Close()
		return err
	}
	return nil
}

// Start starts the server, and returns when it accepts connections.
func (s *Server) Start() error {
	s.running, s.output = s.start(), &output{}
	s.running.Stdout, s.running.Stderr = s.output, s.output
	if err := s.running.Start(); err != nil {
		s.running = nil
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not respond: %w\n%s", s.running.Path, err, s.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Crash ends the server without a shutdown.
func (s *Server) Crash() {
	if s.running != nil {
		_ = s.running.Process.Signal(s.stopSignal)
		_ = s.running.Wait()
		s.running = nil
	}
}

// Suspend stops the server's process without ending it: it does not respond until
// Resume.
func (s *Server) Suspend() { s.signal(syscall.SIGSTOP) }

// Resume continues a suspended server.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	if s.running != nil {
		_ = s.running.Process.Signal(signal)
	}
}

// Close ends the server and removes its directory.
func (s *Server) Close() {
	s.Crash()
	_ = os.RemoveAll(s.Dir)
}

// output holds the last part of a server's output.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 64<<10 {
		o.buf.Reset()
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// NewPgBouncer starts PgBouncer in transaction mode in front of server, a PostgreSQL,
// on a socket in that server's directory. It returns nil if PgBouncer is not installed.
func NewPgBouncer(server *Server, ready func(ctx context.Context, address string) error) (*Server, error) {
	program, missing := exec.LookPath("pgbouncer")
	if missing != nil {
		program, missing = exec.LookPath("/usr/sbin/pgbouncer") // often not in PATH
	}
	if missing != nil {
		return nil, nil //nolint:nilerr // documented
	}
	dir := filepath.Join(server.Dir, "b")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	as := ""
	if os.Getuid() == 0 {
		var err error
		if as, err = giveAway(dir); err != nil {
			return nil, err
		}
	}
	config := fmt.Sprintf("[databases]\n* = host=%s user=postgres\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\nlisten_port = 5432\n"+
		"auth_type = any\npool_mode = transaction\ndefault_pool_size = 50\nignore_startup_parameters = extra_float_digits\n", server.Dir, dir)
	file := filepath.Join(dir, "ini")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil { //nolint:gosec // for the user that runs it
		return nil, err
	}
	s := &Server{Dir: dir, stopSignal: syscall.SIGQUIT}
	s.start = func() *exec.Cmd { return command(as, program, "-q", file) }
	s.ready = func(ctx context.Context) error { return ready(ctx, s.Address()) }
	return s, s.begin()
}
