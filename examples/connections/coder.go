package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/clerkauth/clerkauth"
)

// fromSubprotocol is a Config.Credential. It returns the token that a page offers as a
// second subprotocol, because browsers let pages set no header of a websocket:
//
//	new WebSocket(url, ["echo", "token." + await session.getToken()])
//
// The upgrade must then come from this server's own origin or an authorized party.
func fromSubprotocol(r *http.Request) string {
	for _, line := range r.Header["Sec-Websocket-Protocol"] {
		for offer := range strings.SplitSeq(line, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(offer), "token."); ok {
				return token
			}
		}
	}
	return ""
}

// echo serves websockets of coder/websocket behind a guard, which has responded with 401,
// 403 or 503 where there was no caller to serve. The connection ends when the caller's
// token expires, and the page connects again with a new one.
func echo(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	// Pages of authorized parties on other hosts have to be in OriginPatterns, too.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
	if err != nil {
		return // Accept has responded
	}
	defer func() { _ = conn.CloseNow() }()
	expiry := time.AfterFunc(time.Until(who.ExpiresAt), func() {
		_ = conn.Close(closeUnauthorized, string(clerkauth.ErrTokenExpired))
	})
	defer expiry.Stop()
	for {
		kind, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if conn.Write(r.Context(), kind, append([]byte(who.UserID+": "), text...)) != nil {
			return
		}
	}
}
