package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/clerkauth/clerkauth"
)

// handler returns the API with a limit, for each key, of three requests at once and one
// more per second.
func handler(auth *clerkauth.Authenticator) http.Handler { return newServer(auth, rate.Limit(1), 3) }

// newServer returns the API. Users present their session, programs an API key, and both
// see the reports of the user or organization that the credential is for.
func newServer(auth *clerkauth.Authenticator, perSecond rate.Limit, burst int) http.Handler {
	r := &reports{of: make(map[string][]report)}
	l := &limits{perSecond: perSecond, burst: burst, keys: make(map[string]*limit)}
	read := clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:read")))
	write := clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write")))

	mux := auth.NewServeMux()
	mux.Handle("GET /reports", read, l.each(r.list))
	mux.Handle("POST /reports", write, l.each(r.create))
	mux.HandleFunc("GET /me", clerkauth.SignedIn, me)
	return mux
}

type report struct {
	Title string    `json:"title"`
	By    string    `json:"by"` // the id of the user or of the key
	At    time.Time `json:"at"`
}

type reports struct {
	mu sync.Mutex
	of map[string][]report // by user or organization
}

func (r *reports) list(w http.ResponseWriter, req *http.Request) {
	who := clerkauth.FromContext(req.Context())
	r.mu.Lock()
	list := slices.Clone(r.of[who.Subject])
	r.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"reports": append([]report{}, list...)})
}

func (r *reports) create(w http.ResponseWriter, req *http.Request) {
	who := clerkauth.FromContext(req.Context())
	var in report
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in); err != nil || in.Title == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "send a report with a title"})
		return
	}
	made := report{Title: in.Title, By: who.UserID, At: time.Now().UTC()}
	if who.TokenType == clerkauth.APIKey {
		made.By = who.TokenID
	}
	r.mu.Lock()
	r.of[who.Subject] = append(r.of[who.Subject], made)
	r.mu.Unlock()
	writeJSON(w, http.StatusCreated, made)
}

func me(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"user": clerkauth.FromContext(r.Context()).UserID})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// limits holds the rate limit of each API key, by the key's id, which never changes and
// is not a secret. Every replica of the server has limits of its own.
type limits struct {
	perSecond rate.Limit
	burst     int

	mu    sync.Mutex
	keys  map[string]*limit
	swept time.Time
}

type limit struct {
	*rate.Limiter
	used time.Time
}

// each returns a handler that limits the requests with an API key that next receives.
// Users are not limited.
func (l *limits) each(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := clerkauth.FromContext(r.Context())
		if who.TokenType == clerkauth.APIKey && !l.of(who.TokenID, time.Now()).Allow() {
			w.Header().Set("Retry-After", "1")
			writeJSON(w, http.StatusTooManyRequests, map[string]string{"error": "too many requests with this key"})
			return
		}
		next(w, r)
	})
}

// of returns the limit of a key. It deletes limits that were not used for a minute:
// these have their full burst again.
func (l *limits) of(key string, now time.Time) *limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > time.Minute {
		for id, old := range l.keys {
			if now.Sub(old.used) > time.Minute {
				delete(l.keys, id)
			}
		}
		l.swept = now
	}
	one := l.keys[key]
	if one == nil {
		one = &limit{Limiter: rate.NewLimiter(l.perSecond, l.burst)}
		l.keys[key] = one
	}
	one.used = now
	return one
}
