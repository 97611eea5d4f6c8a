package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/clerkauth/clerkauth"
)

// feed streams events (https://html.spec.whatwg.org/multipage/server-sent-events.html)
// behind a guard. The stream ends when the caller's token expires: a guard decides once,
// when the request comes.
func feed(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	ctx, stop := context.WithDeadline(r.Context(), who.ExpiresAt)
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 1; ; n++ {
		fmt.Fprintf(w, "data: event %d for %s\n\n", n, who.UserID)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			fmt.Fprintf(w, "event: %s\ndata: connect again with a new token\n\n", clerkauth.ErrTokenExpired)
			return
		}
	}
}
