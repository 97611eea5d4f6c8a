package ports

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/clerkauth/clerkauth"
)

// newWebsocketServer returns a server of websockets whose first message is
// {"token": "…"}, and whose other messages are read while the token is valid. The caller
// is that of the token, whoever's cookies the browser has sent with the upgrade.
func newWebsocketServer(c clerkauth.Config) (http.Handler, error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	admit := func(ctx context.Context, conn *websocket.Conn) (context.Context, error) {
		var first struct{ Token string }
		if err := wsjson.Read(ctx, conn, &first); err != nil {
			return ctx, err
		}
		return auth.CheckToken(ctx, first.Token)
	}
	still := func(r *http.Request, caller context.Context) error {
		_, err := auth.Check(r.WithContext(caller))
		return err
	}
	// end
	mux := http.NewServeMux()
	mux.HandleFunc("GET /socket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		caller, err := admit(r.Context(), conn)
		for err == nil {
			if err = wsjson.Write(r.Context(), conn, clerkauth.FromContext(caller).UserID); err != nil {
				return
			}
			if _, _, err = conn.Read(r.Context()); err != nil {
				return
			}
			err = still(r, caller)
		}
		_ = conn.Close(3000, err.Error())
	})
	return mux, nil
}
