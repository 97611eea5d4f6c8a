package catalogue

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test what an attacker can exhaust or extract.
var _ = addRows(rows{
	"236/secret_key_in_output":   secretStaysIn,
	"237/megabyte_tokens":        longTokensCostNothing,
	"238/garbage_leaves_nothing": garbageLeavesNothing,
	"239/million_unknown_kids":   testkit.Bubble(inventedKeyIDsLeaveNothing),
	"243/canceled_while_waiting": func(t *testing.T) { cancelWhileWaiting(t, testkit.HTTP2Client(t), 500) },
})

// secretStaysIn searches for the secret key in a program's output after failures,
// and in requests to hosts that redirects name.
func secretStaysIn(t *testing.T) {
	r := testkit.NewRig(t)
	secret := r.Server.SecretKey()
	var logged bytes.Buffer
	var evil atomic.Int64
	config := r.Server.Config()
	config.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config.Transport = testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		if "https://"+req.URL.Host != r.Server.URL {
			evil.Add(1)
			fmt.Fprintln(&logged, req.Header)
		}
		return testkit.Answering(307, http.Header{"Location": {"https://evil.example/" + req.URL.Path}}, strings.NewReader(secret)).RoundTrip(req)
	})
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	// A server logs the value of a handler's panic.
	for _, v := range []any{config, &config, auth, *auth, config.SecretKey, testkit.NewUnexported(config, auth), []any{config}, errors.New(fmt.Sprint(config))} {
		server := testkit.NewServer(t, auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(v) })))
		server.Config.ErrorLog = log.New(&logged, "", 0)
		testkit.Exchange(t, server, request("GET /", "Host: app.example.com"))
		server.Close()
	}
	if n := strings.Count(logged.String(), "panic serving"); n != 8 {
		t.Errorf("%d panics were logged", n)
	}
	// Everything that sends the secret, redirected.
	_, err1 := auth.VerifyToken(t.Context(), r.Jane.Token())
	jane, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	_, err2 := auth.GetToken(t.Context(), jane, "")
	_, err3 := user.NewClient(auth.ClerkConfig()).Get(t.Context(), "user_1")
	bad := config
	bad.PublishableKey = "pk_live_" + config.PublishableKey[len("pk_test_"):]
	_, err4 := clerkauth.New(bad)
	for _, err := range []error{err1, err2, err3, err4} {
		if err == nil {
			t.Error("no error")
		}
		fmt.Fprintf(&logged, "%v %+v %#v %q\n", err, err, err, err)
	}
	if evil.Load() != 0 || strings.Contains(logged.String(), secret[len("sk_test_"):]) {
		t.Errorf("%d requests to another host; captured:\n%s", evil.Load(), logged.String())
	}
}

// perRun returns the bytes that a run of f allocates.
func perRun(runs int, f func()) int {
	var before, after runtime.MemStats
	f()
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc-before.TotalAlloc) / runs
}

func longTokensCostNothing(t *testing.T) {
	r := testkit.NewRig(t)
	const most = 16 << 10
	var fits, tooLong string // valid tokens except for their length
	for pad := most / 2; tooLong == ""; pad++ {
		if token := r.Jane.Token(clerkauthtest.WithClaim("pad", strings.Repeat("x", pad))); len(token) > most {
			tooLong = token
		} else if fits = token; len(token) < most-100 {
			pad += (most - len(token)) / 2
		}
	}
	r.Want(t, fits, 200, "")
	for what, token := range map[string]string{
		"dots": strings.Repeat(".", 1<<20), "base64": strings.Repeat("A", 1<<20), "three parts": strings.Repeat("eyJh", 1<<17) + "." + strings.Repeat("eyJh", 1<<17) + ".AAAA",
		"good but too long": tooLong, "braces": strings.Repeat("e3t7", 1<<17), "key of a machine": "ak_" + strings.Repeat("A", 1<<20), "dots in front": strings.Repeat(".", 1<<20) + r.Jane.Token(),
	} {
		if n := perRun(50, func() { _, _ = r.Auth.VerifyToken(t.Context(), token) }); n > 4<<10 {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
		r.Want(t, token, 401, "")
	}
}

// heap returns the bytes and goroutines in use after a collection.
func heap() (bytes, goroutines int) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), runtime.NumGoroutine()
}

// leavesNothing fails the test if many calls of f leave more than 2 MiB or a
// goroutine behind. With the race detector a tenth of the calls are made.
func leavesNothing(t *testing.T, times int, f func(i int)) {
	t.Helper()
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		times /= 10
	}
	f(-1)
	bytes, goroutines := heap()
	for i := range times {
		f(i)
	}
	atMost(t, goroutines)
	if after, _ := heap(); after-bytes > 2<<20 {
		t.Errorf("%d bytes are left", after-bytes)
	}
}

func garbageLeavesNothing(t *testing.T) {
	r := testkit.NewRig(t)
	good := r.Jane.Token()
	r.Want(t, good, 200, "")
	entered := 0
	guard := r.Auth.Require().Func(func(http.ResponseWriter, *http.Request) { entered++ })
	head, payload, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(payload, ".")
	statuses := map[int]int{}
	leavesNothing(t, 100_000, func(i int) {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer([]string{
			fmt.Sprint("garbage", i), fmt.Sprint(head, ".", i, ".", signature), fmt.Sprintf("%s.%s.%08d%s", head, payload, max(i, 0), signature[8:]),
			fmt.Sprintf("%s.%08d%s.%s", head, max(i, 0), payload[8:], signature), fmt.Sprint("ak_", i), fmt.Sprint(i, ".", i, ".", i), fmt.Sprint(good, i), testkit.WithKeyID(good, fmt.Sprint(i)),
		}[(i+8)%8])(req)
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, req)
		statuses[w.Code]++
	})
	if entered != 0 || len(statuses) != 1 || statuses[401] == 0 {
		t.Errorf("%d got through; answers are %v", entered, statuses)
	}
	r.Want(t, good, 200, "")
}

func inventedKeyIDsLeaveNothing(t *testing.T) {
	r := testkit.NewRig(t)
	good := r.Jane.Token()
	r.Want(t, good, 200, "")
	encode := base64.RawURLEncoding.EncodeToString
	leavesNothing(t, 1_000_000, func(i int) {
		token := encode(fmt.Appendf(nil, `{"alg":"RS256","kid":"ins_%d"}`, i)) + ".e30.AAAA"
		if _, err := r.Auth.VerifyToken(t.Context(), token); !errors.Is(err, clerkauth.ErrUnknownKey) {
			t.Fatal(err)
		}
	})
	// The first fetch may still be under way when the first of them arrives, and counts for
	// it as well.
	if n := r.Refreshes(); n < unknownBurst || n > 1+unknownBurst {
		t.Errorf("%d fetches, want the first and a burst for all of the others", n)
	}
	r.Want(t, good, 200, "")
}

// cancelWhileWaiting cancels clients that wait for keys, and requires them to leave
// nothing behind while the one fetch continues.
func cancelWhileWaiting(t *testing.T, client *http.Client, clients int) {
	atFirst := runtime.NumGoroutine()
	var fetched atomic.Int64
	release := make(chan struct{})
	r := testkit.NewRig(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.SecretKey = clerkauth.Secret{}
		c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			fetched.Add(1)
			select {
			case <-release:
				return next.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
	})
	var inside, entered atomic.Int64
	guard := r.Auth.Require().Func(func(w http.ResponseWriter, r *http.Request) { entered.Add(1); testkit.Hello(w, r) })
	server := testkit.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		defer inside.Add(-1)
		guard.ServeHTTP(w, r)
	}))
	get := func(ctx context.Context, token string) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return 0, err
		}
		testkit.Bearer(token)(req)
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, errors.Join(err, resp.Body.Close())
	}
	if status, err := get(t.Context(), ""); status != 401 || err != nil { // opens the connections
		t.Fatal(status, err)
	}
	token := r.Jane.Token(testkit.LongLived)
	before, start := runtime.NumGoroutine(), time.Now()
	for range clients / 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var gone sync.WaitGroup
		for range 50 {
			gone.Go(func() {
				if status, err := get(ctx, token); !errors.Is(err, context.Canceled) {
					t.Errorf("%d, %v", status, err)
				}
			})
		}
		for inside.Load() < 50 {
			runtime.Gosched()
		}
		cancel()
		gone.Wait()
		for inside.Load() > 0 {
			runtime.Gosched()
		}
	}
	// What remains is the fetch, with the timer of its client.
	atMost(t, before+2)
	fetches := int64(1 + time.Since(start)/(5*time.Second)) // one, unless the machine is so slow that it has ended
	close(release)
	for status, deadline := 0, time.Now().Add(10*time.Second); status != 200; {
		var err error
		if status, err = get(t.Context(), token); err != nil || status != 200 && (fetches == 1 || time.Now().After(deadline)) {
			t.Fatal(status, err)
		}
	}
	if n := fetched.Load(); entered.Load() != 1 || fetches == 1 && n != 1 {
		t.Errorf("%d got through, %d fetches", entered.Load(), n)
	}
	client.CloseIdleConnections()
	server.Close()
	atMost(t, atFirst)
}

// atMost waits until there are at most n goroutines.
func atMost(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > n; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<18)
			t.Fatalf("%d goroutines, want no more than %d:\n%s", runtime.NumGoroutine(), n, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
