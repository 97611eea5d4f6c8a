package clerkauth

import (
	"fmt"

	"github.com/clerkauth/clerkauth/internal/resource"
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
	described := make([]resource.Config, len(resources))
	for i, r := range resources {
		described[i] = resource.Config(r)
	}
	set, err := resource.NewSet(described, a.core.authorizationServer)
	if err != nil {
		return nil, fmt.Errorf("clerkauth: protected resource: %w", err)
	}
	a.core.describes.Store(true)
	return set.Wrap, nil
}
