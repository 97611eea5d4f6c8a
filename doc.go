// Package clerkauth authenticates the users of applications that sign in with Clerk
// (https://clerk.com), for net/http and everything built on it. It is not affiliated
// with Clerk.
//
//	auth, err := clerkauth.New(clerkauth.FromEnv())
//	…
//	mux.Handle("GET /dashboard", auth.Require().Func(dashboard))
//	http.ListenAndServe(":8080", auth.Handler(mux))
//
// [Authenticator.Handler] authenticates requests, [Authenticator.Require] authorizes
// them, and [FromContext] returns the caller. Every check fails closed: invalid
// credentials are rejected, missing claims grant nothing, and while Clerk's keys are
// unavailable guarded routes respond with 503.
//
// # Essentials
//
// In order of use:
//
//   - [Config] and [FromEnv] say which Clerk instance to trust; [New] makes an
//     [Authenticator].
//   - [Authenticator.Handler] wraps a server and authenticates its requests.
//   - [Authenticator.Require] is [Middleware] that guards a handler.
//   - [SignedIn], [Role], [Permission], [Feature], [Plan], [Claim] and the other [Access]
//     values are what a route can require; [AllOf] and [AnyOf] combine them. [CheckFunc]
//     and [CheckRequest] are for checks of your own. [Public] is for everyone, [Optional]
//     for everyone whatever they present, and [Unchecked] reads no credential.
//   - [FromContext] returns an [Auth] in a handler: [Auth.SignedIn], its ids, and
//     [Auth.Has] for decisions within the handler.
//   - [Authenticator.SignInURL] is where to send users who are not signed in.
//   - [ClaimsAs] decodes custom claims, and [Authenticator.ClerkConfig] configures the
//     clients of clerk-sdk-go.
//   - [Error] and its [Reason] say why a caller was refused.
//
// # Protecting routes
//
// There are three ways. The first compares no paths, so that nothing can disagree with
// the router:
//
//   - [Authenticator.Require] guards handlers one by one, behind any router.
//   - [Authenticator.NewServeMux] makes a [ServeMux] on which no route can be registered
//     without an [Access].
//   - [Authenticator.Protect] applies [Rules] by path in front of a router. Requests that
//     no rule is for require [SignedIn].
//
// [Authenticator.Check] is for frameworks that do not use [http.Handler], and a [Matcher]
// for programs that compare paths themselves.
//
// Tokens are read from the Authorization header, or where [Config.Credential] finds them.
// [Authenticator.CheckToken] is for those that are in no request: in a websocket's first
// message, in a queue, in the event of a function.
//
// # Browser sessions
//
// A browser that is signed in has a session token in a cookie, which lives a minute, and
// nothing else has to be called to keep it: guards renew it at the Backend API, or by a
// redirect through Clerk's Frontend API that the user does not see (a handshake).
// [BrowserConfig] says where people sign in, how browsers reach this server, which domains
// share a session ([BrowserConfig.Satellite]) and which paths belong to an organization
// ([OrganizationSync]).
//
// With a session by cookie, requests that change state must come from pages of this
// server or of authorized parties; a GET that changes state is not protected. Who is not
// signed in is redirected to the sign-in page, if they request a page, and gets 401
// otherwise. [Authenticator.SignOut] ends a session.
//
// [Authenticator.ContentSecurityPolicy] allows pages to use Clerk's browser SDK under a
// policy, and [Authenticator.FrontendAPIProxy] serves Clerk's Frontend API at a path of this
// server.
//
// # Machines
//
// API keys, machine-to-machine tokens and OAuth tokens are accepted only where both
// [Config.Accept] and the route's [Token] name their kind. A machine is never signed in.
// [Authenticator.ResourceMetadata] tells OAuth clients, such as those of the Model
// Context Protocol, where to get a token.
//
// # Webhooks
//
// [NewWebhook] makes a handler for Clerk's webhooks, with the secret that
// [WebhookFromEnv] reads. [On] registers a function for the events of a type of package
// event, and each delivery is handled once, as the [Deliveries] remember it.
//
// # Testing
//
// Package clerkauthtest is a Clerk instance for tests, on loopback or in memory, with
// users, sessions, keys and failures. [NewContext] is enough for tests of a handler
// alone.
//
// # Errors
//
// Refusals are written as problem details (RFC 9457), or by [Config.ErrorHandler]. The
// constants of type [Reason] are sentinels for [errors.Is], as in
// errors.Is(err, clerkauth.ErrTokenExpired). Six of them, such as [ErrUnauthenticated],
// [ErrForbidden] and [ErrUnavailable], are classes: every other reason belongs to one, and
// errors.Is finds it by that, too. No [Error] contains a credential or the value of a claim.
//
// # Concurrency
//
// An [Authenticator], a [ServeMux], a [Matcher] and a [Webhook] are safe for concurrent
// use and need not be closed. An [Auth] is a value: changing a copy changes no other.
package clerkauth
