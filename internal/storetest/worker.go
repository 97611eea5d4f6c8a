// Package storetest tests stores of webhook deliveries with real servers, several
// processes, and crashes of both. Worker processes run the test binary itself.
package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
)

// Store is the store that a worker process uses.
type Store struct {
	Deliveries clerkauth.Deliveries
	Work       func(ctx context.Context, id string) error // called by every handler, unless nil
	Close      func()
}

// Open opens the store at address. A lease of zero means the store's default.
type Open func(ctx context.Context, address string, lease time.Duration) (Store, error)

// job is the task of a worker process.
type job struct {
	Task    string // "copies" or "serve"
	Name    string // of the worker
	Address string
	Lease   time.Duration
	Journal string // a file
	Signing string // secret, whsec_…
	ID      string // copies: of the delivery
	Copies  int
}

// jobVariable is the environment variable that holds a worker's job.
const jobVariable = "CLERKAUTH_STORETEST_JOB"

// Main runs the tests, or the job of a worker process, and returns the exit status.
func Main(m *testing.M, open Open) int {
	text := os.Getenv(jobVariable)
	if text == "" {
		return m.Run()
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = j.run(open)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "worker %s: %v\n", j.Name, err)
		return 1
	}
	return 0
}

func (j job) run(open Open) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store, err := open(ctx, j.Address, j.Lease)
	if err != nil {
		return err
	}
	defer store.Close()
	journal, err := openJournal(j.Journal)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	w := worker{job: j, store: store, journal: journal}
	if j.Task == "copies" {
		return w.copies(ctx)
	}
	return w.serve(ctx)
}

type worker struct {
	job
	store   Store
	journal *journal
}

// handle is the handler of a delivery: it takes up to upTo, sometimes fails, and records
// that in the journal.
func (w worker) handle(ctx context.Context, id string, upTo time.Duration) error {
	w.journal.write("start", id, w.Name)
	if w.store.Work != nil {
		if err := w.store.Work(ctx, id); err != nil {
			w.journal.write("fail", id, w.Name)
			return err
		}
	}
	time.Sleep(atMost(upTo)) // the work, during which processes are killed
	if number(20) == 0 {
		w.journal.write("fail", id, w.Name)
		return errors.New("the handler fails at random")
	}
	w.journal.write("end", id, w.Name)
	return nil
}

// counts are the results of copies.
type counts struct{ Handled, Before, InFlight, Failed int }

// copies handles all copies of one delivery at the same time, and each of them again
// until it is acknowledged.
func (w worker) copies(ctx context.Context) error {
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil { // the signal to start
		return err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var sum counts
	for range w.Copies {
		all.Go(func() {
			for acknowledged := false; !acknowledged; {
				err := w.store.Deliveries.Once(ctx, w.ID, func(ctx context.Context) error {
					return w.handle(ctx, w.ID, 500*time.Millisecond)
				})
				mu.Lock()
				switch {
				case err == nil:
					sum.Handled++
					acknowledged = true
				case errors.Is(err, clerkauth.ErrHandled):
					sum.Before++
					acknowledged = true
				case errors.Is(err, clerkauth.ErrInFlight):
					sum.InFlight++
				default:
					sum.Failed++
				}
				mu.Unlock()
				if acknowledged {
					w.journal.write("ack", w.ID, w.Name)
				} else {
					time.Sleep(atMost(50 * time.Millisecond)) // until the redelivery
				}
			}
		})
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(sum)
}

// serve serves webhooks until its standard input ends.
func (w worker) serve(ctx context.Context) error {
	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{
		Secrets:    []clerkauth.Secret{clerkauth.NewSecret(w.Signing)},
		Deliveries: w.store.Deliveries,
		Logger:     slog.New(slog.DiscardHandler), // failures are part of the test
	})
	if err != nil {
		return err
	}
	clerkauth.On(hooks, event.UserUpdated, func(ctx context.Context, e *event.Event[clerk.User]) error {
		return w.handle(ctx, e.DeliveryID, 60*time.Millisecond)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: hooks, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Println("http://" + listener.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Shutdown(ctx); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// journal is a file to which every process appends events, one per line.
type journal struct{ *os.File }

func openJournal(name string) (*journal, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the test names it
	return &journal{f}, err
}

func (j *journal) write(what, id, worker string) {
	if _, err := j.WriteString(strings.Join([]string{what, id, worker}, " ") + "\n"); err != nil {
		panic(err) // an incomplete journal would invalidate the test
	}
}
