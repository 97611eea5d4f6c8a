package storetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// Full reports whether tests that take minutes are to run.
func Full() bool { return os.Getenv("CLERKAUTH_FULL") != "" }

// patience bounds a test.
const patience = 5 * time.Minute

// Copies sends copies of one delivery to two processes at the same time.
func Copies(t *testing.T, address string, copies int) {
	r := newRig(t, address, 0)
	id := "msg_" + rand.Text()
	workers := make([]*process, 2)
	for n := range workers {
		workers[n] = r.begin(job{Task: "copies", ID: id, Copies: copies / 2})
	}
	for _, w := range workers {
		if word := w.line(); word != "ready" {
			t.Fatalf("a worker wrote %q", word)
		}
	}
	for _, w := range workers {
		if _, err := io.WriteString(w.in, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
	var sum counts
	for _, w := range workers {
		var c counts
		if err := json.Unmarshal([]byte(w.line()), &c); err != nil {
			t.Fatal(err)
		}
		w.end()
		sum = counts{sum.Handled + c.Handled, sum.Before + c.Before, sum.InFlight + c.InFlight, sum.Failed + c.Failed}
	}
	v := r.judge()
	fails := v.starts - 1 // the handler may fail, and is run again
	if sum.Handled != 1 || sum.Before != copies-1 || sum.Failed != fails || v.again+v.alive+v.cut != 0 {
		t.Errorf("%+v of %d copies; %d handlers, of which %d ran after one that ended", sum, copies, v.starts, v.again+v.alive)
	}
	t.Logf("%d copies: handled %d, duplicate %d, in flight %d times, handler failed %d times",
		copies, sum.Handled, sum.Before, sum.InFlight, sum.Failed)
}

// Kill sends deliveries, two copies of each at a time and one after them, to two
// processes that are killed at random, until there were at least that many deliveries
// and kills. It returns the ids, and how many handlers ran a second time after they had
// ended, because their process was killed before the store was updated.
func Kill(t *testing.T, address string, lease time.Duration, deliveries, kills int) (ids []string, again int) {
	r := newRig(t, address, lease)
	r.serveTwice()
	var killed atomic.Int32
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(atMost(60 * time.Millisecond)):
			}
			n := number(len(r.workers))
			r.workers[n].Load().kill()
			killed.Add(1)
			r.workers[n].Store(r.serve())
		}
	}()
	ids = r.load(func(sent int) bool { return sent < deliveries || int(killed.Load()) < kills })
	close(stop)
	<-stopped
	r.endAll()
	v := r.judge()
	if v.alive != 0 {
		t.Errorf("%d handlers that had ended were run again, although their process was not killed", v.alive)
	}
	t.Logf("%d deliveries, %d kills: %d handlers ran, %d were cut short, %d ran again after their end; answers: %s",
		len(ids), killed.Load(), v.starts, v.cut, v.again, r.answers())
	if kills >= 50 && v.cut == 0 {
		t.Error("no handler was cut short")
	}
	return ids, v.again
}

// Outage sends deliveries, as Kill does, while the server crashes and restarts. It
// returns the ids, and how many handlers ran again after they had ended.
func Outage(t *testing.T, server *Server, address string, lease time.Duration, deliveries, outages int) (ids []string, again int) {
	r := newRig(t, address, lease)
	r.serveTwice()
	var healed atomic.Bool
	var crashing sync.WaitGroup
	crashing.Go(func() {
		defer healed.Store(true)
		for range outages {
			time.Sleep(200*time.Millisecond + atMost(200*time.Millisecond))
			server.Crash()
			before := r.count(http.StatusServiceUnavailable)
			for r.count(http.StatusServiceUnavailable) == before && r.ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond) // until a delivery has been refused
			}
			if err := server.Start(); err != nil {
				r.Error(err)
				return
			}
		}
	})
	ids = r.load(func(sent int) bool { return sent < deliveries || !healed.Load() })
	crashing.Wait()
	r.endAll()
	v := r.judge()
	t.Logf("%d deliveries, %d crashes of the server: %d handlers ran, %d of them again after their end; answers: %s",
		len(ids), outages, v.starts, v.alive, r.answers())
	return ids, v.alive
}

// rig is a sender of deliveries, with the worker processes that receive them.
type rig struct {
	*testing.T
	ctx     context.Context
	job     job // the part that is the same for every worker
	journal *journal
	clerk   *clerkauthtest.Server
	client  *http.Client
	started atomic.Int32
	workers []atomic.Pointer[process]

	mu   sync.Mutex
	seen map[int]int // answers by status; 0: none
}

func newRig(t *testing.T, address string, lease time.Duration) *rig {
	t.Helper()
	clerk := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	name := filepath.Join(t.TempDir(), "journal")
	j, err := openJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	t.Cleanup(client.CloseIdleConnections)
	return &rig{
		T: t, ctx: ctx, journal: j, clerk: clerk, client: client,
		job:  job{Address: address, Lease: lease, Journal: name, Signing: clerk.WebhookSecret()},
		seen: make(map[int]int),
	}
}

// serveTwice starts two workers.
func (r *rig) serveTwice() {
	r.workers = make([]atomic.Pointer[process], 2)
	for n := range r.workers {
		r.workers[n].Store(r.serve())
	}
}

// load sends deliveries to the workers while more returns true.
func (r *rig) load(more func(sent int) bool) []string {
	r.Helper()
	const atATime = 8
	var ids []string
	var senders sync.WaitGroup
	slots := make(chan struct{}, atATime)
	for more(len(ids)) && r.ctx.Err() == nil {
		slots <- struct{}{}
		d := r.clerk.NewDelivery("user.updated", `{"id":"user_1"}`)
		ids = append(ids, d.ID)
		senders.Go(func() {
			defer func() { <-slots }()
			var copies sync.WaitGroup
			for range 2 {
				copies.Go(func() { r.deliver(d) })
			}
			copies.Wait()
			r.deliver(d) // a copy after it was acknowledged
		})
	}
	senders.Wait()
	if err := r.ctx.Err(); err != nil {
		r.Errorf("not every delivery was acknowledged: %v", err)
	}
	return ids
}

// deliver sends a copy of a delivery until it is acknowledged, as Svix does, at shorter
// intervals.
func (r *rig) deliver(d *clerkauthtest.Delivery) {
	for r.ctx.Err() == nil {
		worker := r.workers[number(len(r.workers))].Load()
		status := r.send(worker.url, d)
		r.mu.Lock()
		r.seen[status]++
		r.mu.Unlock()
		switch status {
		case http.StatusNoContent:
			r.journal.write("ack", d.ID, worker.name)
			return
		case 0, http.StatusServiceUnavailable, http.StatusInternalServerError:
		default:
			r.Errorf("a delivery got status %d", status)
			return
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(atMost(50 * time.Millisecond)):
		}
	}
}

// send returns the status of the answer, or 0 if there is none.
func (r *rig) send(url string, d *clerkauthtest.Delivery) int {
	if url == "" {
		return 0 // the worker did not start
	}
	resp, err := r.client.Do(d.Request(url).WithContext(r.ctx))
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (r *rig) count(status int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[status]
}

func (r *rig) answers() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.seen)
}

// judge reads the journal and reports what is wrong in it.
func (r *rig) judge() verdict {
	r.Helper()
	text, err := os.ReadFile(r.job.Journal)
	if err != nil {
		r.Fatal(err)
	}
	v := judge(string(text))
	for n, wrong := range v.wrong {
		if n == 10 {
			r.Errorf("… and %d more", len(v.wrong)-n)
			break
		}
		r.Error(wrong)
	}
	return v
}

// process is a worker process.
type process struct {
	rig  *rig
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	name string
	url  string
}

func (r *rig) begin(j job) *process {
	j.Name = fmt.Sprintf("w%d", r.started.Add(1))
	j.Address, j.Lease, j.Journal, j.Signing = r.job.Address, r.job.Lease, r.job.Journal, r.job.Signing
	text, err := json.Marshal(j)
	if err != nil {
		r.Error(err)
	}
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this binary
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.Error(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.Error(err)
	}
	if err := cmd.Start(); err != nil {
		r.Error(err)
	}
	return &process{rig: r, cmd: cmd, in: in, out: bufio.NewReader(out), name: j.Name}
}

// serve starts a worker that serves webhooks.
func (r *rig) serve() *process {
	p := r.begin(job{Task: "serve"})
	p.url = p.line()
	return p
}

// line returns the next line of the worker's output.
func (p *process) line() string {
	text, err := p.out.ReadString('\n')
	if err != nil {
		p.rig.Errorf("worker %s: no output: %v", p.name, err)
		return ""
	}
	return text[:len(text)-1]
}

func (p *process) kill() {
	p.rig.journal.write("kill", "-", p.name)
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// end lets the worker finish.
func (p *process) end() {
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.rig.Errorf("worker %s: %v", p.name, err)
	}
}

func (r *rig) endAll() {
	r.client.CloseIdleConnections()
	for n := range r.workers {
		r.workers[n].Load().end()
	}
}

func number(below int) int { return mathrand.IntN(below) } //nolint:gosec // not a secret

func atMost(d time.Duration) time.Duration { return mathrand.N(d) } //nolint:gosec // not a secret
