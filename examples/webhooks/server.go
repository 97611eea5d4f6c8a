package main

import (
	"fmt"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newServer is the part to copy into your own program, with users.go.
func newServer(auth *clerkauth.Authenticator, hooks *clerkauth.Webhook, u users) http.Handler {
	u.subscribe(hooks)
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/clerk", hooks)
	mux.HandleFunc("GET /{$}", u.page) // guard such a page in your own program, as /account is
	mux.Handle("GET /account", auth.Require(clerkauth.CheckFunc("a session that was not ended", u.sessionLives)).Func(account))
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
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, all) // the connection may be gone
}

func account(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, clerkauth.FromContext(r.Context()).UserID)
}
