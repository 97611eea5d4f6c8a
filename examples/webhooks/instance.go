package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

// instance is the Clerk instance that sends the events: your own, or a local one.
type instance struct {
	config   clerkauth.Config
	webhook  clerkauth.WebhookConfig
	hooksURL string
	base     string
	local    *clerkauthtest.Server // nil: your own
	client   *http.Client
}

func newInstance(listener net.Addr, base string) (*instance, error) {
	// Without keep-alives there are no idle connections for the server to wait for when
	// it shuts down.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 15 * time.Second}
	in := &instance{base: base, hooksURL: base + "/webhooks/clerk", client: client}
	var err error
	if in.config, in.local, err = example.Instance(listener, base); err != nil {
		return nil, err
	}
	in.webhook = clerkauth.WebhookFromEnv()
	if in.local != nil {
		in.webhook = in.local.WebhookConfig()
	}
	return in, nil
}

func (in *instance) close() {
	if in.local != nil {
		in.local.Close()
	}
}

// person returns a user of the local instance as of updated.
func person(id, first string, updated time.Time) clerk.User {
	email := "idn_" + id
	return clerk.User{
		Object: "user", ID: id, FirstName: &first,
		PrimaryEmailAddressID: &email,
		EmailAddresses:        []*clerk.EmailAddress{{Object: "email_address", ID: email, EmailAddress: id[len("user_"):] + "@example.com"}},
		CreatedAt:             updated.UnixMilli(), UpdatedAt: updated.UnixMilli(),
	}
}

// deliver sends a copy of d until it is accepted or rejected, and returns the status of
// the last response.
func (in *instance) deliver(ctx context.Context, d *clerkauthtest.Delivery) int {
	for ctx.Err() == nil {
		status := in.status(d.Request(in.hooksURL).WithContext(ctx))
		if status != 0 && status < http.StatusInternalServerError {
			return status
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // Svix waits for longer
		}
	}
	return 0
}

// status makes a request and returns the status of the response, or 0 if there is none.
func (in *instance) status(r *http.Request) int {
	resp, err := in.client.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// play sends an event per second until ctx ends.
func (in *instance) play(ctx context.Context, out io.Writer) {
	if in.local == nil {
		return
	}
	names := []string{"Ada", "Grace", "Barbara", "Edsger", "Alan", "Donald", "Radia", "Tony"}
	var ids []string
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		var eventType string
		var payload any
		now := in.local.Now()
		switch {
		case n%3 == 0:
			id := "user_" + strings.ToLower(rand.Text()[:8])
			ids = append(ids, id)
			eventType, payload = "user.created", person(id, names[n%len(names)], now)
		case len(ids) > 5:
			eventType, payload = "user.deleted", clerk.DeletedResource{Object: "user", ID: ids[0], Deleted: true}
			ids = ids[1:]
		default:
			eventType, payload = "user.updated", person(ids[n%len(ids)], names[(n+n/3)%len(names)], now)
		}
		d := in.local.NewDelivery(eventType, payload)
		for range 1 + n%2 { // every second event twice
			fmt.Fprintf(out, "%s %s answered %d\n", eventType, d.ID, in.deliver(ctx, d))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// step is an event, and its expected result.
type step struct {
	shows string
	want  string // the status, and the names that are listed afterwards
	do    func() int
}

// steps returns deliveries as an endpoint may receive them, for users whose ids end with
// mark.
func (in *instance) steps(ctx context.Context, mark string) []step {
	now := in.local.Now()
	at := func(second int) time.Time { return now.Add(time.Duration(second) * time.Second) }
	jane, john, joan := "user_jane_"+mark, "user_john_"+mark, "user_joan_"+mark
	send := func(eventType string, payload any) func() int {
		d := in.local.NewDelivery(eventType, payload)
		return func() int { return in.deliver(ctx, d) }
	}
	deleted := func(id string) clerk.DeletedResource {
		return clerk.DeletedResource{Object: "user", ID: id, Deleted: true}
	}
	second := send("user.updated", person(jane, "Jane Doe", at(20)))
	third := send("user.updated", person(jane, "J. Doe", at(30)))
	forged := in.local.NewDelivery("user.updated", person(jane, "Mallory", at(99)))
	session := in.local.SignIn(in.local.CreateUser("jane@example.com"))
	account := func() int {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, in.base+"/account", nil)
		if err != nil {
			return 0
		}
		session.Authorize(r)
		return in.status(r)
	}
	return []step{
		{"a user signs up", "204 Jane", send("user.created", person(jane, "Jane", at(0)))},
		{"she changes her name", "204 Jane Doe", second},
		{"the delivery is repeated", "204 Jane Doe", second},
		{"an older change arrives late", "204 Jane Doe", send("user.updated", person(jane, "Janet", at(10)))},
		{"fifty copies arrive at once", "204 J. Doe", func() int { return atOnce(50, third) }},
		{"a change arrives before its user", "204 J. Doe, John B", send("user.updated", person(john, "John B", at(10)))},
		{"the user arrives after it", "204 J. Doe, John B", send("user.created", person(john, "John", at(0)))},
		{"a forged delivery", "400 J. Doe, John B", func() int {
			r := forged.Request(in.hooksURL).WithContext(ctx)
			r.Header.Set("Svix-Signature", "v1,"+strings.Repeat("A", 43)+"=")
			return in.status(r)
		}},
		{"a user is deleted", "204 J. Doe", send("user.deleted", deleted(john))},
		{"a change of that user arrives late", "204 J. Doe", send("user.updated", person(john, "John C", at(99)))},
		{"a deletion arrives before its user", "204 J. Doe", send("user.deleted", deleted(joan))},
		{"the user arrives after it", "204 J. Doe", send("user.created", person(joan, "Joan", at(0)))},
		{"a session reaches /account", "200 J. Doe", account},
		{"the session is revoked", "204 J. Doe", func() int { return in.deliver(ctx, in.local.NewDelivery("session.revoked", session)) }},
		{"its token is rejected", "403 J. Doe", account},
		{"the last user is deleted", "204 ", send("user.deleted", deleted(jane))},
	}
}

// atOnce calls do that many times at the same time, and returns their common result, or
// 0 if the results differ.
func atOnce(times int, do func() int) int {
	results := make([]int, times)
	var all sync.WaitGroup
	for n := range results {
		all.Go(func() { results[n] = do() })
	}
	all.Wait()
	for _, result := range results {
		if result != results[0] {
			return 0
		}
	}
	return results[0]
}

// errCheck indicates that a result was not the expected one.
var errCheck = errors.New("a result was not as expected")

// check performs the steps, prints a table of expected and actual results, and returns
// errCheck if one differs.
func (in *instance) check(ctx context.Context, out io.Writer, u users) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	mark := strings.ToLower(rand.Text()[:8])
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tEXPECTED\tSEEN\t")
	steps, failed := in.steps(ctx, mark), 0
	for _, s := range steps {
		status := s.do()
		names, err := listed(ctx, u, mark)
		if err != nil {
			return err
		}
		seen, verdict := fmt.Sprintf("%d %s", status, names), "ok"
		if seen != s.want {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.shows, s.want, seen, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(steps)-failed, failed)
	if failed > 0 {
		return errCheck
	}
	return nil
}

// listed returns the names of the users whose ids end with mark. The table may have
// other users.
func listed(ctx context.Context, u users, mark string) (string, error) {
	all, err := u.list(ctx)
	var names []string
	for _, one := range all {
		if strings.HasSuffix(one.ID, mark) {
			names = append(names, one.Name)
		}
	}
	return strings.Join(names, ", "), err
}
