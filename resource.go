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
	// InsecureAnyAudience accepts OAuth tokens whatever resource they were issued for,
	// unless [Config.Audience] names one. Whoever holds a token for another server of
	// the instance can then use it here, and that server is such a holder. Defaults to
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

// resource is a Resource that is served.
type resource struct {
	document    metadata
	segments    []string // of the resource's path
	served      string   // path of the document
	metadata    string   // URL of the document
	anyAudience bool
}

// wellKnown begins the path of a document (RFC 9728 section 3).
const wellKnown = "/.well-known/oauth-protected-resource"

// ResourceMetadata returns a middleware that describes resources to clients, so
// that one that knows nothing but a resource's URL, such as a client of the Model
// Context Protocol, finds out where to get a token. It serves the metadata of each
// resource (RFC 9728) at its well-known path, to pages of any origin, and lets the
// guards behind it name that document in their WWW-Authenticate, also to who sent
// no token at all.
//
//	describe, err := auth.ResourceMetadata(clerkauth.Resource{URL: "https://api.example.com/mcp", Scopes: []string{"notes:read"}})
//	…
//	mux.Handle("/mcp", auth.Require(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:read")))(handler))
//	http.ListenAndServe(":8080", describe(mux))
//
// A request is inside of a resource if any reading of its path is the resource's or
// below it, in whatever case: as [Authenticator.Protect] reads paths. The host plays no
// part. Of several resources that one reading is in, the one with the longest path
// counts; where readings are in different ones, all of them do. Inside of a resource,
// guards require its URL as the audience of OAuth tokens (RFC 8707), in the place of
// [Config.Audience]; see [Resource.InsecureAnyAudience]. Outside of all resources,
// guards of the same Authenticator accept an OAuth token only if the route requires
// [Audience] of it: what is not described may be another resource.
//
// It belongs around everything that it describes, guards included: those that it is
// not around are outside. Describe all resources of a server in one call. The error
// joins every mistake in resources.
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
	// The one whose path is the longest knows best about what is below it.
	slices.SortStableFunc(described, func(x, y *resource) int { return len(y.segments) - len(x.segments) })
	a.core.describes.Store(true)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, d := range described {
				if r.URL.Path == d.served {
					d.ServeHTTP(w, r)
					return
				}
			}
			if at := placeAmong(described, r); at != nil {
				r = r.WithContext(context.WithValue(r.Context(), placeKey{}, at))
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

// place is where a request goes among described resources.
type place struct {
	in []*resource // that some reading of its path is in, of u.Path first
	// unreadable says that no two programs agree on its path.
	unreadable bool
}

// placeKey is where the place of a request is kept.
type placeKey struct{}

// placeOf returns where r goes; the zero place is outside of all resources.
func placeOf(r *http.Request) place {
	if at, ok := r.Context().Value(placeKey{}).(*place); ok {
		return *at
	}
	return place{}
}

// placeAmong returns where r goes among described, in addition to where it goes
// already; nil if it is outside.
func placeAmong(described []*resource, r *http.Request) *place {
	at := place{}
	readings, err := route.Readings(r.URL)
	at.unreadable = err != nil
	for _, reading := range readings {
		i := slices.IndexFunc(described, func(d *resource) bool { return d.holds(reading) })
		if i >= 0 && !slices.Contains(at.in, described[i]) {
			at.in = append(at.in, described[i])
		}
	}
	if len(at.in) == 0 && !at.unreadable {
		return nil
	}
	outer := placeOf(r)
	at.in, at.unreadable = append(at.in, outer.in...), at.unreadable || outer.unreadable
	return &at
}

// holds reports whether a path is the resource's or below it. Letters are compared
// without case, as guards compare them.
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

// resourceOf returns the resource that r is for, nil if it is for none.
func resourceOf(r *http.Request) *resource {
	if at := placeOf(r); len(at.in) > 0 {
		return at.in[0]
	}
	return nil
}

// describe checks r.
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
