package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/clerkauth/clerkauth"
)

// authenticator returns an Authenticator for an instance that has signed no token.
var authenticator = sync.OnceValue(func() *clerkauth.Authenticator {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	auth, err := clerkauth.New(clerkauth.Config{
		PublishableKey:   "pk_test_" + base64.RawStdEncoding.EncodeToString([]byte("path-matrix-1.clerk.accounts.dev$")),
		JWTKey:           string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		InsecureAnyParty: true,
		Logger:           slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		panic(err)
	}
	return auth
})

// protect is Protect with rules, behind mount.
func protect(rules clerkauth.Rules, mount string) middle {
	var options []clerkauth.ProtectOption
	if mount != "" {
		options = append(options, clerkauth.Mount(mount))
	}
	m, err := authenticator().Protect(rules, options...)
	if err != nil {
		panic(err) // the rules are constant
	}
	return middle(m)
}

// clerkGuards returns guards for the library's three ways to protect routes.
func clerkGuards(mount string, sh shape) []*guard {
	auth := authenticator()
	return []*guard{
		{
			name:    "Protect",
			netHTTP: true,
			opens:   true,
			outer: protect(clerkauth.Rules{
				"/admin": clerkauth.SignedIn, "/admin/{rest...}": clerkauth.SignedIn,
				"/public": clerkauth.Public, "/public/{rest...}": clerkauth.Public,
				"/robots.txt": clerkauth.Public, "/favicon.ico": clerkauth.Public, "/assets/{rest...}": clerkauth.Public,
			}, mount),
		},
		{
			name:    "Protect, open by default",
			netHTTP: true,
			opens:   true,
			outer:   protect(clerkauth.Rules{"/{rest...}": clerkauth.Public, "/admin(.*)": clerkauth.SignedIn}, mount),
		},
		{
			name:    "Require",
			netHTTP: true,
			opens:   behindRoutes(sh),
			handler: middle(auth.Require()),
		},
		{
			name:    "NewServeMux",
			netHTTP: true,
			only:    "ServeMux",
			opens:   behindRoutes(sh),
			build:   func(h handlers) http.Handler { return clerkMux(sh, h) },
		},
	}
}

// clerkMux is serveMux with our mux.
func clerkMux(s shape, h handlers) http.Handler {
	m := authenticator().NewServeMux()
	switch s {
	case static:
		m.Handle("/admin/users", clerkauth.SignedIn, h.secret())
		m.Handle("/public/index", clerkauth.Public, h.public())
	case subtree:
		m.Handle("/admin/", clerkauth.SignedIn, h.secret())
		m.Handle("/public/", clerkauth.Public, h.public())
	case detail:
		m.Handle("/admin/{id}", clerkauth.SignedIn, h.secret())
		m.Handle("/public/{id}", clerkauth.Public, h.public())
	case params:
		m.Handle("/{a}/{b}", clerkauth.SignedIn, h.params(func(r *http.Request, name string) string { return r.PathValue(name) }))
	case files:
		m.Handle("/", clerkauth.SignedIn, h.files())
	}
	return m
}
