package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/route"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Resource describes a protected resource to clients that have no token for it yet
// (RFC 9728 section 2). See [Authenticator.ResourceMetadata].
type Resource struct {
	// URL is the resource's identifier, exactly as clients know it: an https URL
	// without query and fragment, such as https://api.example.com/mcp. Plain http is
	// accepted for loopback addresses only. Required.
	URL string
	// Scopes are the scopes that clients may request. Defaults to none.
	Scopes []string
	// Name is the resource's name, and Documentation the URL of a page about it, for
	// people to read. Default to none.
	Name, Documentation string
	// AuthorizationServers are the issuers of tokens for the resource. Defaults to the
	// Clerk instance: [Config.FrontendURL], or the host in the publishable key.
	AuthorizationServers []string
	// InsecureAnyAudience accepts OAuth tokens whatever resource they were issued for,
	// unless [Config.Audience] is set. Whoever holds a token for another server of the
	// instance, which includes that server, can then use it here. Defaults to
	// requiring URL as the audience.
	InsecureAnyAudience bool
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

// resource is a Resource whose metadata is served.
type resource struct {
	document    metadata
	segments    []string // of the resource's path
	served      string   // path of the document
	metadata    string   // URL of the document
	anyAudience bool
}

const (
	// wellKnown is the beginning of a document's path (RFC 9728 section 3).
	wellKnown = "/.well-known/oauth-protected-resource"
	// discovery is the beginning of every path at which clients look for documents.
	discovery = "/.well-known/oauth-"
)

// ResourceMetadata returns middleware that describes resources to clients, so that a
// client that knows only a resource's URL, such as one of the Model Context Protocol,
// can find out where to get a token. It serves the metadata of each resource (RFC 9728)
// at its well-known path, with a slash at its end or without, and at the root's if there
// is one resource. Guards behind it refer to that document in their WWW-Authenticate
// challenges.
//
//	describe, err := auth.ResourceMetadata(clerkauth.Resource{URL: "https://api.example.com/mcp", Scopes: []string{"notes:read"}})
//	…
//	mux.Handle("/mcp", auth.Require(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:read")))(handler))
//	http.ListenAndServe(":8080", describe(mux))
//
// A request is inside a resource if any interpretation of its path, as
// [Authenticator.Protect] makes them, is the resource's path or below it, ignoring
// case. The host is not compared. Of nested resources the innermost counts; if
// interpretations are inside different resources, all of these count. Inside a
// resource, guards require its URL as the audience of OAuth tokens (RFC 8707), in place
// of [Config.Audience]; see [Resource.InsecureAnyAudience]. Outside all resources,
// guards of the same Authenticator accept OAuth tokens only where a route requires an
// [Audience] of them, because what is not described may be another resource.
//
// Pages of any origin can read the documents, and, as far as the application's CORS lets
// them read a response at all, the challenges inside a resource. That CORS, and its answer
// to preflights, belongs around this middleware. Below /.well-known/oauth-, where clients
// also look for documents that this server does not have, guards respond with 404 in place
// of 401 and redirects.
//
// The middleware must wrap everything that it describes, guards included; guards that
// it does not wrap are outside. Describe all resources of a server in one call. The
// error joins everything that is wrong with resources.
func (a *Authenticator) ResourceMetadata(resources ...Resource) (Middleware, error) {
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
	// The innermost of nested resources comes first.
	slices.SortStableFunc(described, func(x, y *resource) int { return len(y.segments) - len(x.segments) })
	a.core.describes.Store(true)
	documents := documentsOf(described)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d := documents[r.URL.Path]; d != nil {
				d.ServeHTTP(w, r)
				return
			}
			if at := placeAmong(described, r); at != nil {
				r = r.WithContext(context.WithValue(r.Context(), placeKey{}, at))
				if at.discovery {
					anyOrigin(w.Header())
				}
				if len(at.in) > 0 {
					exposeChallenge(w.Header())
				}
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

// documentsOf returns described by the paths at which their documents are served.
func documentsOf(described []*resource) map[string]*resource {
	documents := make(map[string]*resource)
	for _, d := range described {
		documents[d.served] = d
	}
	also := func(path string, d *resource) {
		path = strings.TrimSuffix(path, "/")
		for _, path := range []string{path, path + "/"} {
			if documents[path] == nil {
				documents[path] = d
			}
		}
	}
	for _, d := range described {
		also(d.served, d)
	}
	if len(described) == 1 {
		also(wellKnown, described[0])
	}
	return documents
}

// anyOrigin lets pages of any origin read a response, unless the application's CORS has
// decided already.
func anyOrigin(h http.Header) {
	if len(h["Access-Control-Allow-Origin"]) == 0 {
		h.Set("Access-Control-Allow-Origin", "*")
	}
}

// exposeChallenge lets pages that can read a response read its challenge.
func exposeChallenge(h http.Header) {
	const name = "Access-Control-Expose-Headers"
	h[name] = append(slices.Clip(h[name]), "WWW-Authenticate") // middleware may share its slice among responses
}

// place is which of the described resources a request is inside.
type place struct {
	in         []*resource // for each interpretation of the path, that of URL.Path first
	unreadable bool        // requests with this path are refused: see [route.Readings]
	discovery  bool        // clients look for documents there
}

// placeKey is the context key for *place.
type placeKey struct{}

// placeOf returns the place of r. The zero place is outside all resources.
func placeOf(ctx context.Context) place {
	if at, ok := ctx.Value(placeKey{}).(*place); ok {
		return *at
	}
	return place{}
}

// placeAmong returns the place of r among described, in addition to its place so far,
// or nil if it is outside described.
func placeAmong(described []*resource, r *http.Request) *place {
	at := place{discovery: strings.HasPrefix(r.URL.Path, discovery)}
	readings, err := route.Readings(r.URL)
	at.unreadable = err != nil
	for _, reading := range readings {
		i := slices.IndexFunc(described, func(d *resource) bool { return d.holds(reading) })
		if i >= 0 && !slices.Contains(at.in, described[i]) {
			at.in = append(at.in, described[i])
		}
	}
	if len(at.in) == 0 && !at.unreadable && !at.discovery {
		return nil
	}
	outer := placeOf(r.Context())
	at.in, at.unreadable = append(at.in, outer.in...), at.unreadable || outer.unreadable
	return &at
}

// holds reports whether path is the resource's or below it, ignoring case.
func (d *resource) holds(path string) bool {
	rest := strings.TrimPrefix(path, "/")
	for _, want := range d.segments {
		var segment string
		if segment, rest, _ = strings.Cut(rest, "/"); !strings.EqualFold(segment, want) {
			return false
		}
	}
	return true
}

// resourceOf returns the resource that r is inside, or nil.
func resourceOf(r *http.Request) *resource {
	if at := placeOf(r.Context()); len(at.in) > 0 {
		return at.in[0]
	}
	return nil
}

// describe checks r, and returns what is served of it.
func (a *core) describe(r Resource) (*resource, error) {
	u, err := weburl.ParseResource(r.URL)
	if err != nil {
		return nil, err
	}
	for _, s := range r.Scopes {
		if !validScope(s) {
			return nil, Scope(s).policy().wrong
		}
	}
	if r.Documentation != "" {
		if _, err := weburl.ParseIdentifier(r.Documentation); err != nil {
			return nil, fmt.Errorf("its documentation: %w", err)
		}
	}
	servers := slices.Clone(r.AuthorizationServers)
	for _, server := range servers {
		if _, err := weburl.ParseBase(server); err != nil {
			return nil, fmt.Errorf("authorization server %q: %w", server, err)
		}
	}
	if len(servers) == 0 {
		if a.authorizationServer == "" {
			return nil, errors.New("which authorization server issues tokens for it is not known: name it, or set the publishable key")
		}
		servers = []string{a.authorizationServer}
	}
	d := &resource{anyAudience: r.InsecureAnyAudience}
	if path := strings.Trim(u.Path, "/"); path != "" {
		d.segments = strings.Split(path, "/")
	}
	at := weburl.WellKnown(wellKnown, u)
	d.served, d.metadata = at.Path, at.String()
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

// ServeHTTP serves the document. It is not secret, and clients that run in browsers need
// it, so it is served to pages of any origin.
func (d *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	anyOrigin(h)
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
