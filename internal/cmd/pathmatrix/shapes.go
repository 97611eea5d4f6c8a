package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing/fstest"
)

// shape is the layout of an application's routes. The protected handler is below /admin,
// the public one below /public.
type shape byte

const (
	static  shape = 'S' // a route of its own: /admin/users
	subtree shape = 'T' // everything below: /admin/*
	detail  shape = 'D' // one parameter: /admin/{id}
	params  shape = 'P' // two parameters that a handler reads: /{a}/{b}
	files   shape = 'F' // a file server for everything
)

var shapes = []shape{static, subtree, detail, params, files}

const (
	marker = "X-Reached" // the response header with the name of the handler that ran
	secret = "secret"
	public = "public"
	other  = "other"
)

// contents are the bodies of responses. They differ in length, so that responses to HEAD
// requests differ, too.
var contents = map[string]string{
	secret: "protected content, for signed-in users",
	public: "public content",
	other:  "nothing here",
}

func newReply(status int, mark string, length int64, body []byte) reply {
	r := reply{status: status, reached: mark}
	for name, text := range contents {
		if string(body) == text || len(body) == 0 && length == int64(len(text)) && status == http.StatusOK {
			r.reached = name
		}
	}
	return r
}

// handlers are the handlers of an application. protect wraps protected ones, for guards at
// the handler.
type handlers struct {
	protect func(http.Handler) http.Handler
}

func (h handlers) guarded(next http.Handler) http.Handler {
	if h.protect == nil {
		return next
	}
	return h.protect(next)
}

func (h handlers) secret() http.Handler { return h.guarded(say(secret)) }
func (h handlers) public() http.Handler { return say(public) }

// params returns a handler that reads two parameters of its route, decoded once more, as
// programs do whose router leaves them encoded.
func (h handlers) params(get func(r *http.Request, name string) string) http.Handler {
	return h.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		say(who(get(r, "a"), get(r, "b"))).ServeHTTP(w, r)
	}))
}

// who returns the content that two parameters name.
func who(a, b string) string {
	a, b = decoded(a), decoded(b)
	switch {
	case a == "admin" && b == "users":
		return secret
	case a == "public":
		return public
	}
	return other
}

func decoded(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// files returns net/http's file server.
func (h handlers) files() http.Handler {
	return h.guarded(http.FileServerFS(tree))
}

var tree = func() fstest.MapFS {
	fs := fstest.MapFS{"admin/users": {Data: []byte(contents[secret])}}
	for _, path := range strings.Fields(benign) {
		if u, err := url.ParseRequestURI(path); err == nil {
			name := strings.Trim(u.Path, "/")
			if name != "public" && name != "public/a" {
				fs[name] = &fstest.MapFile{Data: []byte(contents[public])}
			}
		}
	}
	return fs
}()

func say(what string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(marker, what)
		io.WriteString(w, contents[what])
	})
}
