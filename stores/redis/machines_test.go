package redis

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// replica is one of several processes that share a cache.
func replica(t *testing.T, srv *clerkauthtest.Server, client goredis.UniversalClient, o MachineOptions) *clerkauth.Authenticator {
	t.Helper()
	cache, err := NewMachineCache(client, o)
	if err != nil {
		t.Fatal(err)
	}
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	config.Machines.Cache = cache
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// admits tells whether a replica lets key in.
func admits(auth *clerkauth.Authenticator, key *clerkauthtest.Credential) bool {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	key.Authorize(r)
	_, err := auth.Check(r, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("read")))
	return err == nil
}

// kept returns the keys of the n values that Redis has, or will have soon: nobody
// waits for them to be put there.
func kept(t *testing.T, client goredis.UniversalClient, pattern string, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		keys, err := client.Keys(t.Context(), pattern).Result()
		if err != nil || len(keys) > n || time.Now().After(deadline) {
			t.Fatalf("%d values, want %d: %v", len(keys), n, err)
		}
		if len(keys) == n {
			return keys
		}
		runtime.Gosched()
	}
}

// TestMachineCacheReadsLittle: of a value that is no machine's, however large.
func TestMachineCacheReadsLittle(t *testing.T) {
	client := connect(server(t).Socket())
	defer client.Close()
	cache, err := NewMachineCache(client, MachineOptions{Prefix: "large:"})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int64]int{200 << 20: 64 << 10, 64<<10 + 1: 64 << 10, 64 << 10: 64 << 10, 7: 7, 0: 0} {
		client.Del(t.Context(), "large:key")
		if n > 0 {
			if err := client.SetRange(t.Context(), "large:key", n-1, "x").Err(); err != nil {
				t.Fatal(err)
			}
		}
		if value, err := cache.Get(t.Context(), "key"); err != nil || len(value) != want {
			t.Errorf("%d of %d bytes are read: %v", len(value), n, err)
		}
	}
	client.Del(t.Context(), "large:key")
	client.RPush(t.Context(), "large:key", "a list")
	if _, err := cache.Get(t.Context(), "key"); err == nil {
		t.Error("a list is a value")
	}
	client.Del(t.Context(), "large:key")
}

func TestMachineCacheAsksOnceForAll(t *testing.T) {
	client := connect(server(t).Socket())
	defer client.Close()
	srv := clerkauthtest.NewServer(t)
	o := MachineOptions{Prefix: "once:"}
	key := srv.CreateAPIKey(srv.CreateUser("jane@example.com"), "read")
	for range 3 { // each starts without anything in its own memory
		if !admits(replica(t, srv, client, o), key) {
			t.Error("a good key is refused")
		}
		kept(t, client, "once:*", 1)
	}
	if n := srv.Requests(clerkauthtest.APIKeyVerify); n != 1 {
		t.Errorf("%d calls", n)
	}
	// A revocation is seen no later than without the cache.
	srv.Revoke(key)
	srv.Advance(31 * time.Second)
	if admits(replica(t, srv, client, o), key) {
		t.Error("a revoked key is let in after 31 s")
	}

	keys, err := client.Keys(t.Context(), "once:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	value, err := client.Get(t.Context(), keys[0]).Result()
	if err != nil || strings.Contains(keys[0]+value, key.Token) || strings.Contains(value, srv.SecretKey()) {
		t.Error("a credential is in Redis", err)
	}
	if ttl := client.PTTL(t.Context(), keys[0]).Val(); ttl <= 0 || ttl > 30*time.Second {
		t.Errorf("it is kept for %v", ttl)
	}
}

// TestMachineCacheIsNotTrusted: what others wrote opens nothing, and that it is
// away closes nothing.
func TestMachineCacheIsNotTrusted(t *testing.T) {
	client := connect(server(t).Socket())
	defer client.Close()
	srv, other := clerkauthtest.NewServer(t), clerkauthtest.NewServer(t)
	o := MachineOptions{Prefix: "shared:"}
	key := srv.CreateAPIKey(srv.CreateUser("jane@example.com"), "read")
	if !admits(replica(t, srv, client, o), key) || admits(replica(t, other, client, o), key) {
		t.Error("a key of one instance is good in another, or in none")
	}
	kept(t, client, "shared:*", 1)

	weak := srv.CreateAPIKey(srv.CreateUser("joe@example.com"))
	if admits(replica(t, srv, client, o), weak) {
		t.Fatal("a key without the scope is let in")
	}
	keys := kept(t, client, "shared:*", 2)
	a, b := client.Get(t.Context(), keys[0]).Val(), client.Get(t.Context(), keys[1]).Val()
	for _, forged := range [][2]string{
		{b, a}, // each other's
		{strings.Replace(a, `"scopes":[]`, `"scopes":["read"]`, 1), strings.Replace(b, `"scopes":[]`, `"scopes":["read"]`, 1)},
		{strings.Replace(a, `"scopes":null`, `"scopes":["read"]`, 1), strings.Replace(b, `"scopes":null`, `"scopes":["read"]`, 1)},
		{"", ""}, {"{}", "{}"}, {a[:32], b[:32]}, {strings.Repeat("x", 1<<20), "x"},
	} {
		client.Set(t.Context(), keys[0], forged[0], 0)
		client.Set(t.Context(), keys[1], forged[1], 0)
		auth := replica(t, srv, client, o)
		if admits(auth, weak) || !admits(auth, key) {
			t.Errorf("%.80q decides", forged)
		}
	}

	away := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", DialerRetries: 1, MaxRetries: -1})
	defer away.Close()
	if !admits(replica(t, srv, away, o), key) {
		t.Error("a good key is refused while Redis is away")
	}
}

func TestMachineCacheWithoutAClient(t *testing.T) {
	if _, err := NewMachineCache(nil, MachineOptions{}); err == nil {
		t.Error("there is a cache without a client")
	}
}
