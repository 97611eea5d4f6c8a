package clerkauthtest_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/organization"
	"github.com/clerk/clerk-sdk-go/v2/organizationmembership"
	"github.com/clerk/clerk-sdk-go/v2/session"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func TestUsers(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	users := user.NewClient(testkit.NewAuth(t, srv).ClerkConfig())
	metadata := struct {
		Role string `json:"role"`
	}{"admin"}
	jane := srv.CreateUser("jane@example.com", clerkauthtest.Name("Jane", ""), clerkauthtest.PublicMetadata(metadata),
		clerkauthtest.PrivateMetadata(map[string]any{"customer": 7}), clerkauthtest.UnsafeMetadata(map[string]any{"theme": "dark"}))
	got, err := users.Get(t.Context(), jane.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.FirstName == nil || *got.FirstName != "Jane" || got.LastName != nil || got.Banned || got.EmailAddresses[0].EmailAddress != "jane@example.com" {
		t.Errorf("%+v", got)
	}
	for want, got := range map[string]json.RawMessage{`{"role":"admin"}`: got.PublicMetadata, `{"customer":7}`: got.PrivateMetadata, `{"theme":"dark"}`: got.UnsafeMetadata} {
		if string(got) != want {
			t.Errorf("metadata is %s, want %s", got, want)
		}
	}
	if got, err = users.Get(t.Context(), srv.CreateUser("john@example.com").ID); err != nil || got.FirstName != nil || string(got.PublicMetadata) != "{}" {
		t.Errorf("a user without a name: %+v, %v", got, err)
	}
	for _, metadata := range []any{nil, "x", []int{1}, func() {}} {
		testkit.MustPanic(t, "metadata", func() { clerkauthtest.PublicMetadata(metadata) })
	}
}

// TestBan: a ban revokes a user's sessions, and no others; tokens that were issued stay
// valid, and the user does not sign in again.
func TestBan(t *testing.T) {
	for name, ban := range map[string]func(*testing.T, *clerkauthtest.User, *user.Client, bool){
		"by the kit": func(_ *testing.T, u *clerkauthtest.User, _ *user.Client, banned bool) {
			if banned {
				u.Ban()
			} else {
				u.Unban()
			}
		},
		"by the Backend API": func(t *testing.T, u *clerkauthtest.User, users *user.Client, banned bool) {
			call := users.Ban
			if !banned {
				call = users.Unban
			}
			if got, err := call(t.Context(), u.ID); err != nil || got.Banned != banned {
				t.Errorf("%+v, %v", got, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
			auth := testkit.NewAuth(t, srv)
			users, sessions := user.NewClient(auth.ClerkConfig()), session.NewClient(auth.ClerkConfig())
			jane := srv.CreateUser("jane@example.com")
			before, signedOut, other := srv.SignIn(jane), srv.SignIn(jane), signIn(srv)
			signedOut.SignOut()
			token := before.Token()
			who := before.Auth(auth)

			ban(t, jane, users, true)
			mustVerify(t, auth, token)
			other.Token()
			testkit.MustPanic(t, "a token", func() { before.Token() })
			testkit.MustPanic(t, "a sign-in", func() { srv.SignIn(jane) })
			if _, err := auth.GetToken(t.Context(), who, ""); err == nil {
				t.Error("a token by the Backend API")
			}
			for id, want := range map[string]string{before.ID: "revoked", signedOut.ID: "ended", other.ID: "active"} {
				if s, err := sessions.Get(t.Context(), id); err != nil || s.Status != want {
					t.Errorf("session is %v, %v, want %s", s, err, want)
				}
			}
			if u, err := users.Get(t.Context(), jane.ID); err != nil || !u.Banned {
				t.Errorf("%+v, %v", u, err)
			}

			ban(t, jane, users, false)
			testkit.MustPanic(t, "a token", func() { before.Token() })
			srv.SignIn(jane).Token()
			if u, err := users.Get(t.Context(), jane.ID); err != nil || u.Banned {
				t.Errorf("%+v, %v", u, err)
			}
			if _, err := users.Ban(t.Context(), "user_none"); notFoundError(err) == nil {
				t.Errorf("nobody: %v", err)
			}
		})
	}
}

// notFoundError returns err as Clerk's 404, or nil.
func notFoundError(err error) *clerk.APIErrorResponse {
	var e *clerk.APIErrorResponse
	if errors.As(err, &e) && e.HTTPStatusCode == 404 {
		return e
	}
	return nil
}

// TestMemberships reads memberships with the clients of clerk-sdk-go.
func TestMemberships(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	users, organizations := user.NewClient(auth.ClerkConfig()), organization.NewClient(auth.ClerkConfig())
	members := organizationmembership.NewClient(auth.ClerkConfig())

	jane, john := srv.CreateUser("jane@example.com", clerkauthtest.Name("Jane", "Doe")), srv.CreateUser("john@example.com")
	acme := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "admin", "org:invoices:create")).Organization
	acme.SetRole("admin", "org:reports:read")
	acme.AddMember(john, "org:member")
	other := srv.CreateOrganization("other")
	other.AddMember(jane, "member")

	for _, idOrSlug := range []string{acme.ID, "acme"} {
		yes := true
		o, err := organizations.GetWithParams(t.Context(), idOrSlug, &organization.GetParams{IncludeMembersCount: &yes})
		if err != nil || o.ID != acme.ID || o.Slug != "acme" || o.Name != "acme" || o.MembersCount == nil || *o.MembersCount != 2 {
			t.Errorf("%+v, %v", o, err)
		}
	}
	if o, err := organizations.Get(t.Context(), acme.ID); err != nil || o.MembersCount != nil {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := organizations.Get(t.Context(), "org_none"); notFoundError(err) == nil {
		t.Error(err)
	}

	of, err := users.ListOrganizationMemberships(t.Context(), jane.ID, &user.ListOrganizationMembershipsParams{})
	if err != nil || of.TotalCount != 2 || len(of.OrganizationMemberships) != 2 {
		t.Fatalf("%+v, %v", of, err)
	}
	newest, first := of.OrganizationMemberships[0], of.OrganizationMemberships[1]
	if newest.Organization.ID != other.ID || newest.Role != "org:member" || first.Organization.Slug != "acme" || first.Role != "org:admin" ||
		!slices.Equal(first.Permissions, []string{"org:reports:read", "org:invoices:create"}) || *first.PublicUserData.LastName != "Doe" ||
		first.PublicUserData.UserID != jane.ID || first.PublicUserData.Identifier != "jane@example.com" {
		t.Errorf("%+v %+v", newest, first)
	}
	if _, err := users.ListOrganizationMemberships(t.Context(), "user_none", &user.ListOrganizationMembershipsParams{}); notFoundError(err) == nil {
		t.Error(err)
	}

	one := int64(1)
	for name, c := range map[string]struct {
		params organizationmembership.ListParams
		total  int64
		want   []string
	}{
		"all":          {organizationmembership.ListParams{}, 2, []string{john.ID, jane.ID}},
		"a page":       {organizationmembership.ListParams{ListParams: clerk.ListParams{Limit: &one, Offset: &one}}, 2, []string{jane.ID}},
		"by role":      {organizationmembership.ListParams{Roles: []string{"org:admin"}}, 1, []string{jane.ID}},
		"by user":      {organizationmembership.ListParams{UserIDs: []string{john.ID}}, 1, []string{john.ID}},
		"by email":     {organizationmembership.ListParams{EmailAddresses: []string{"john@example.com"}}, 1, []string{john.ID}},
		"nobody there": {organizationmembership.ListParams{UserIDs: []string{"user_none"}}, 0, nil},
	} {
		c.params.OrganizationID = acme.ID
		list, err := members.List(t.Context(), &c.params)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range list.OrganizationMemberships {
			got = append(got, m.PublicUserData.UserID)
		}
		if !slices.Equal(got, c.want) || list.TotalCount != c.total {
			t.Errorf("%s: %v of %d", name, got, list.TotalCount)
		}
	}
	for name, params := range map[string]*organizationmembership.ListParams{
		"a filter that is not served": {OrganizationID: acme.ID, Query: clerk.String("jane")},
		"an invalid page":             {OrganizationID: acme.ID, ListParams: clerk.ListParams{Limit: new(int64)}},
		"no organization":             {OrganizationID: "org_none"},
	} {
		if _, err := members.List(t.Context(), params); err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	acme.AddMember(john, "admin", "org:invoices:create") // again: the same membership, with another role
	again, err := members.List(t.Context(), &organizationmembership.ListParams{OrganizationID: "acme", Roles: []string{"org:admin"}})
	if err != nil || again.TotalCount != 2 {
		t.Errorf("%+v, %v", again, err)
	}
	testkit.MustPanic(t, "a malformed permission", func() { acme.AddMember(john, "admin", "invoices") })
	testkit.MustPanic(t, "an empty role", func() { acme.AddMember(john, "org:") })

	srv.Fail(clerkauthtest.Organizations, 503)
	if _, err := organizations.Get(t.Context(), "acme"); err == nil {
		t.Error("it does not fail")
	}
	if who := srv.SignIn(john, clerkauthtest.InOrganization("acme", "member")).Auth(auth); who.Has(clerkauth.Role("admin")) {
		t.Error("the session has a role that it was not given")
	}
}
