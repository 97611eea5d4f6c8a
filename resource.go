package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Resource is what clients learn about a protected resource before they ask
// somebody for a token (RFC 9728 section 2).
type Resource struct {
	// URL is the resource's own, exactly as clients know it: an https URL without
	// query and fragment, such as https://api.example.com/mcp. Plain http is
	// accepted for loopback addresses alone.
	URL string
	// Scopes are those that a client may ask for.
	Scopes []string
	// Name and Documentation are for people: what the resource is called, and the
	// URL of a page about it. Both may be empty.
	Name, Documentation string
	// AuthorizationServers are the issuers of tokens for the resource. Nil means the
	// Clerk instance: [Config.FrontendURL], or the host in the publishable key.
	AuthorizationServers []string
}

// metadata is the document that describes a resource (RFC 9728 section 3.2).
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
}

// resource is a Resource that is served.
type resource struct {
	document metadata
	path     string // of the resource, without a slash at the end
	served   string // path of the document
	metadata string // URL of the document
}

// wellKnown begins the path of a document (RFC 9728 section 3).
const wellKnown = "/.well-known/oauth-protected-resource"

// ProtectedResource returns a middleware that describes resources to clients, so
// that one that knows nothing but a resource's URL, such as a client of the Model
// Context Protocol, finds out where to get a token. It serves the metadata of each
// resource (RFC 9728) at its well-known path, to pages of any origin, and lets the
// guards behind it name that document in their WWW-Authenticate, also to who sent
// no token at all.
//
//	describe, err := auth.ProtectedResource(clerkauth.Resource{URL: "https://api.example.com/mcp", Scopes: []string{"notes:read"}})
//	…
//	mux.Handle("/mcp", auth.Require(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:read")))(handler))
//	http.ListenAndServe(":8080", describe(mux))
//
// It protects nothing by itself, and belongs around everything that does. The error
// joins every mistake in resources.
func (a *Authenticator) ProtectedResource(resources ...Resource) (Middleware, error) {
	var wrong mistakes
	if len(resources) == 0 {
		wrong.add("resources", errors.New("there is none"))
	}
	var described []*resource
	for _, r := range resources {
		d, err := a.core.describe(r)
		if err != nil {
			wrong.add(fmt.Sprintf("resource %q", r.URL), err)
			continue
		}
		if slices.ContainsFunc(described, func(other *resource) bool { return other.served == d.served }) {
			wrong.add(fmt.Sprintf("resource %q", r.URL), errors.New("another one has its path"))
		}
		described = append(described, d)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: protected resource: %w", err)
	}
	// The one whose path is the longest knows best about what is below it.
	slices.SortStableFunc(described, func(x, y *resource) int { return len(y.path) - len(x.path) })
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, d := range described {
				if r.URL.Path == d.served {
					d.ServeHTTP(w, r)
					return
				}
			}
			for _, d := range described {
				if below, ok := strings.CutPrefix(r.URL.Path, d.path); ok && (below == "" || below[0] == '/') {
					r = r.WithContext(context.WithValue(r.Context(), resourceKey{}, d))
					break
				}
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

// resourceKey is where the resource that a request is for is kept.
type resourceKey struct{}

// resourceOf returns the resource that r is for, nil if it is for none.
func resourceOf(r *http.Request) *resource {
	of, _ := r.Context().Value(resourceKey{}).(*resource)
	return of
}

// plainPath is a path that nobody has a second way to write.
var plainPath = regexp.MustCompile(`\A(/[A-Za-z0-9._~-]+)*/?\z`)

// describe checks r.
func (a *core) describe(r Resource) (*resource, error) {
	u, err := parseBaseURL(r.URL, false)
	if err != nil {
		return nil, err
	}
	if u.String() != r.URL || !validHost(strings.ToLower(u.Host)) || !plainPath.MatchString(u.EscapedPath()) || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./") {
		return nil, errors.New("it must be written plainly: letters, digits and -._~ between single slashes, nothing after the path, and a host in ASCII")
	}
	for _, s := range r.Scopes {
		if !validScope(s) {
			return nil, Scope(s).verify()
		}
	}
	if r.Documentation != "" {
		if _, err := parseBaseURL(r.Documentation, true); err != nil {
			return nil, fmt.Errorf("its documentation: %w", err)
		}
	}
	servers := slices.Clone(r.AuthorizationServers)
	for _, server := range servers {
		if _, err := parseBaseURL(server, false); err != nil {
			return nil, fmt.Errorf("authorization server %q: %w", server, err)
		}
	}
	if len(servers) == 0 {
		if a.authorizationServer == "" {
			return nil, errors.New("which authorization server issues tokens for it is not known: name it, or set the publishable key")
		}
		servers = []string{a.authorizationServer}
	}
	d := &resource{path: strings.TrimRight(u.Path, "/")}
	d.served = wellKnown
	if u.Path != "/" {
		d.served += u.Path
	}
	d.metadata = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: d.served}).String()
	d.document = metadata{
		Resource:             r.URL,
		AuthorizationServers: servers,
		BearerMethods:        []string{"header"},
		Scopes:               slices.Clone(r.Scopes),
		Name:                 r.Name,
		Documentation:        r.Documentation,
	}
	return d, nil
}

// ServeHTTP serves the document, to pages of any origin: nothing in it is secret,
// and clients that run in browsers need it.
func (d *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("X-Content-Type-Options", "nosniff")
		writeJSON(w, http.StatusOK, "application/json", d.document)
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
