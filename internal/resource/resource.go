// Package resource describes the protected resources of a server to clients (RFC 9728): it
// serves their metadata, and tells which of them a request is inside. It knows nothing
// about callers.
package resource

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/respond"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Config is what an application says about a resource. Its fields are those of the
// exported Resource.
type Config struct {
	URL                  string
	Scopes               []string
	Name, Documentation  string
	AuthorizationServers []string
	InsecureAnyAudience  bool
}

// Resource is a resource whose metadata is served. It is immutable.
type Resource struct {
	URL         string // its identifier
	Metadata    string // URL of its metadata
	AnyAudience bool   // it accepts tokens for other resources, too

	document document
	segments []string // of its path
	served   string   // path of its metadata
}

// document is the metadata of a resource (RFC 9728 section 3.2).
type document struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
}

// newResource checks c. server is the authorization server of a resource that names none,
// or "".
func newResource(c Config, server string) (*Resource, error) {
	u, err := weburl.ParseResource(c.URL)
	if err != nil {
		return nil, err
	}
	for _, s := range c.Scopes {
		if err := claims.CheckScope(s); err != nil {
			return nil, err
		}
	}
	if c.Documentation != "" {
		if _, err := weburl.ParseIdentifier(c.Documentation); err != nil {
			return nil, fmt.Errorf("its documentation: %w", err)
		}
	}
	servers := slices.Clone(c.AuthorizationServers)
	for _, server := range servers {
		if _, err := weburl.ParseBase(server); err != nil {
			return nil, fmt.Errorf("authorization server %q: %w", server, err)
		}
	}
	if len(servers) == 0 {
		if server == "" {
			return nil, errors.New("which authorization server issues tokens for it is not known: name it, or set the publishable key")
		}
		servers = []string{server}
	}
	at := weburl.WellKnown(wellKnown, u)
	r := &Resource{URL: c.URL, Metadata: at.String(), AnyAudience: c.InsecureAnyAudience, served: at.Path}
	if path := strings.Trim(u.Path, "/"); path != "" {
		r.segments = strings.Split(path, "/")
	}
	r.document = document{
		Resource:             c.URL,
		AuthorizationServers: servers,
		BearerMethods:        []string{"header"},
		Scopes:               slices.Clone(c.Scopes),
		Name:                 c.Name,
		Documentation:        c.Documentation,
	}
	return r, nil
}

// holds reports whether path is the resource's or below it, ignoring case.
func (r *Resource) holds(path string) bool {
	rest := strings.TrimPrefix(path, "/")
	for _, want := range r.segments {
		var segment string
		if segment, rest, _ = strings.Cut(rest, "/"); !strings.EqualFold(segment, want) {
			return false
		}
	}
	return true
}

// ServeHTTP serves the metadata. It is not secret, and clients that run in browsers need
// it, so it is served to pages of any origin.
func (r *Resource) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	anyOrigin(h)
	switch request.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("X-Content-Type-Options", "nosniff")
		respond.JSON(w, http.StatusOK, "application/json", r.document)
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", methods)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}

// anyOrigin lets pages of any origin read a response, unless the application's CORS has
// decided already.
func anyOrigin(h http.Header) {
	if len(h["Access-Control-Allow-Origin"]) == 0 {
		h.Set("Access-Control-Allow-Origin", "*")
	}
}
