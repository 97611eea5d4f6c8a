// Package clerkauth authenticates the users of applications that sign in with
// Clerk (https://clerk.com), for net/http and everything built on it. It is not
// affiliated with Clerk.
//
//	auth, err := clerkauth.New(clerkauth.FromEnv())
//	…
//	mux.Handle("GET /dashboard", auth.Require().Func(dashboard))
//	http.ListenAndServe(":8080", auth.Handler(mux))
//
// [Authenticator.Handler] identifies callers, [Authenticator.Require] guards
// handlers, [FromContext] tells handlers who is calling. All of them ask one
// function, and whatever it cannot establish counts as not established: a bad
// credential is refused, a missing claim grants nothing, and while Clerk's keys
// cannot be had the answer is 503.
//
// Machines, with API keys and tokens of their own, come in where [Config.Accept] and
// a route's [Token] say so. [Authenticator.ResourceMetadata] shows OAuth clients the
// way in, and [NewWebhook] receives Clerk's webhooks.
//
// Tests need no Clerk: see package clerkauthtest.
package clerkauth
