package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/clerkauth/clerkauth"
)

// Close codes of websockets, from the registry of RFC 6455 section 11.7.
const (
	closeTryAgainLater = 1013
	closeUnauthorized  = 3000
)

// renewal is how long a client has to send its first token, and to send a new one after
// the last has expired.
const renewal = 30 * time.Second

// message is what clients of the chat send: a token, or something to do.
type message struct {
	Token string `json:"token,omitempty"`
	Text  string `json:"text,omitempty"`
	Clear bool   `json:"clear,omitempty"` // for admins
}

// reply is the response to a message.
type reply struct {
	By    string `json:"by,omitempty"`
	Error string `json:"error,omitempty"` // such as token-expired
}

// chat serves websockets of gorilla/websocket whose first message is a token. A message
// that comes after the token has expired is rejected: the client sends a new token, and
// the message again.
func chat(auth *clerkauth.Authenticator) http.HandlerFunc {
	upgrader := websocket.Upgrader{} // rejects pages of other origins
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has responded
		}
		defer func() { _ = conn.Close() }()
		conn.SetReadLimit(16 << 10)
		_ = conn.SetReadDeadline(time.Now().Add(renewal))
		caller := r.Context() // anonymous until a token comes
		for {
			var in message
			if conn.ReadJSON(&in) != nil {
				return
			}
			if in.Token != "" {
				caller, err = auth.CheckToken(r.Context(), in.Token)
			} else {
				_, err = auth.Check(r.WithContext(caller), in.access())
			}
			who := clerkauth.FromContext(caller)
			out := reply{By: who.UserID}
			switch {
			case errors.Is(err, clerkauth.ErrTokenExpired), errors.Is(err, clerkauth.ErrForbidden):
				out.Error = reason(err)
			case err != nil:
				closeFor(conn, err)
				return
			default:
				_ = conn.SetReadDeadline(who.ExpiresAt.Add(renewal))
			}
			if conn.WriteJSON(out) != nil {
				return
			}
		}
	}
}

// access returns what a message requires.
func (m message) access() clerkauth.Access {
	if m.Clear {
		return clerkauth.Role("org:admin")
	}
	return clerkauth.SignedIn
}

// closeFor closes a connection that cannot go on. In an outage, clients connect again.
func closeFor(conn *websocket.Conn, err error) {
	code := closeUnauthorized
	if errors.Is(err, clerkauth.ErrUnavailable) {
		code = closeTryAgainLater
	}
	text := websocket.FormatCloseMessage(code, reason(err))
	_ = conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
}

// reason returns the code of a refusal.
func reason(err error) string {
	if refusal, ok := errors.AsType[*clerkauth.Error](err); ok {
		return string(refusal.Reason)
	}
	return err.Error()
}
