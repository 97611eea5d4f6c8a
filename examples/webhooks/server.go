package main

import (
	"fmt"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newServer returns the server. It is the part to copy into your own program, with
// users.go.
func newServer(auth *clerkauth.Authenticator, hooks *clerkauth.Webhook, u users) http.Handler {
	u.subscribe(hooks)
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/clerk", hooks)
	mux.HandleFunc("GET /{$}", u.page) // in your own program, guard such a page, as /account is
	mux.Handle("GET /account", auth.Require(clerkauth.CheckFunc("session not ended", u.sessionLives)).Func(account))
	return mux
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>Users</title>
<h1>{{len .}} users</h1>
<table>
{{range .}}<tr><td>{{.Email}}<td>{{.Name}}<td>{{.ID}}
{{end}}</table>
`))

// page lists the users.
func (u users) page(w http.ResponseWriter, r *http.Request) {
	all, err := u.list(r.Context())
	if err != nil {
		slog.ErrorContext(r.Context(), "users cannot be listed", "error", err)
		http.Error(w, "the database is unavailable", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, all) // an error means that the connection is closed
}

func account(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, clerkauth.FromContext(r.Context()).UserID)
}
