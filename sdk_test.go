package clerkauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// sdkClaims returns what clerk.SessionClaimsFromContext and FromContext return
// behind wrap.
func sdkClaims(t *testing.T, wrap clerkauth.Middleware, edits ...func(*http.Request)) (claims *clerk.SessionClaims, ok bool, who clerkauth.Auth) {
	t.Helper()
	reached := false
	testkit.Serve(func(next http.Handler) http.Handler {
		return wrap.Func(func(w http.ResponseWriter, r *http.Request) {
			reached = true
			claims, ok = clerk.SessionClaimsFromContext(r.Context())
			who = clerkauth.FromContext(r.Context())
		})
	}, edits...)
	if !reached {
		t.Fatal("the handler was not reached")
	}
	return claims, ok, who
}

// sdkFields holds the expected value of every field of clerk.SessionClaims: that of
// Auth where it has one, and otherwise the token's own claim.
var sdkFields = map[string]func(who clerkauth.Auth, token map[string]any) any{
	"Issuer":                        func(_ clerkauth.Auth, token map[string]any) any { return text(token["iss"]) },
	"Subject":                       func(who clerkauth.Auth, _ map[string]any) any { return who.UserID },
	"Audience":                      func(_ clerkauth.Auth, token map[string]any) any { return texts(token["aud"]) },
	"Expiry":                        func(who clerkauth.Auth, _ map[string]any) any { return clerk.Int64(who.ExpiresAt.Unix()) },
	"NotBefore":                     func(_ clerkauth.Auth, token map[string]any) any { return seconds(token["nbf"]) },
	"IssuedAt":                      func(_ clerkauth.Auth, token map[string]any) any { return seconds(token["iat"]) },
	"ID":                            func(_ clerkauth.Auth, token map[string]any) any { return text(token["jti"]) },
	"SessionID":                     func(who clerkauth.Auth, _ map[string]any) any { return who.SessionID },
	"AuthorizedParty":               func(_ clerkauth.Auth, token map[string]any) any { return text(token["azp"]) },
	"ActiveOrganizationID":          func(who clerkauth.Auth, _ map[string]any) any { return who.OrgID },
	"ActiveOrganizationSlug":        func(who clerkauth.Auth, _ map[string]any) any { return who.OrgSlug },
	"ActiveOrganizationRole":        func(who clerkauth.Auth, _ map[string]any) any { return who.OrgRole },
	"ActiveOrganizationPermissions": func(who clerkauth.Auth, _ map[string]any) any { return who.Permissions() },
	"Custom":                        func(clerkauth.Auth, map[string]any) any { return any(nil) },
	"Version": func(_ clerkauth.Auth, token map[string]any) any {
		if token["v"] == nil {
			return 1 // tokens of version 1 do not name it
		}
		if v, _ := token["v"].(float64); v == 1 || v == 2 {
			return int(v)
		}
		return 0
	},
	"Actor": func(who clerkauth.Auth, token map[string]any) any {
		if _, ok := token["act"].(map[string]any); !ok {
			return json.RawMessage(nil)
		}
		if token["act"].(map[string]any)["sub"] != any(who.Actor.ID) {
			return "our Auth names another actor"
		}
		actor, err := json.Marshal(token["act"])
		if err != nil {
			return err
		}
		return json.RawMessage(actor)
	},
	"FactorVerificationAge": func(_ clerkauth.Auth, token map[string]any) any {
		list, _ := token["fva"].([]any)
		v, versioned := token["v"]
		if known := !versioned || v == 1.0 || v == 2.0; len(list) != 2 || !known {
			return [2]int64{-1, -1}
		}
		if list[0].(float64) > math.MaxInt32 {
			return [2]int64{math.MaxInt32, math.MaxInt32}
		}
		return [2]int64{int64(list[0].(float64)), int64(list[1].(float64))}
	},
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func texts(v any) []string {
	if s := text(v); s != "" {
		return []string{s}
	}
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		out = append(out, text(e))
	}
	return out
}

func seconds(v any) *int64 {
	if f, ok := v.(float64); ok {
		return clerk.Int64(int64(f))
	}
	return nil
}

// compareFields walks the SDK's struct, so that no field that is added to it is
// missed. It returns the number of fields.
func compareFields(t *testing.T, got reflect.Value, who clerkauth.Auth, token map[string]any) int {
	t.Helper()
	n := 0
	for i := range got.NumField() {
		field := got.Type().Field(i)
		switch want, known := sdkFields[field.Name]; {
		case field.Anonymous:
			n += compareFields(t, got.Field(i), who, token)
		case !field.IsExported(): // raw, which is looked at by ValidateWithLeeway
		case !known:
			t.Errorf("the SDK has a field %s that we do not know of", field.Name)
		default:
			n++
			have, wanted := got.Field(i).Interface(), want(who, token)
			list, isList := have.([]string)
			bothEmpty := isList && len(list) == 0 && reflect.ValueOf(wanted).Len() == 0
			if !bothEmpty && !reflect.DeepEqual(have, wanted) {
				t.Errorf("%s is %#v, want %#v", field.Name, have, wanted)
			}
		}
	}
	return n
}

func TestBridge(t *testing.T) {
	r := testkit.NewRig(t)
	alone := r.Server.SignIn(r.Jane.User)
	member := r.Server.SignIn(r.Jane.User, clerkauthtest.InOrganization("acme", "member", "org:posts:read", "org:posts:write", "org:teams:manage"),
		clerkauthtest.Features("u:beta"), clerkauthtest.FactorAges(3, 5))
	v1 := clerkauthtest.Version1()
	for what, token := range map[string]string{
		"v2":                           member.Token(),
		"v1":                           member.Token(v1),
		"v2, no organization":          alone.Token(),
		"v1, no organization":          alone.Token(v1),
		"impersonated":                 r.Server.SignIn(r.Jane.User, clerkauthtest.ImpersonatedBy("user_<support>&")).Token(),
		"actor with more":              alone.Token(clerkauthtest.WithClaim("act", map[string]any{"sub": "user_2", "iss": "https://x", "deep": map[string]any{"n": 1e30}})),
		"actor of no kind":             alone.Token(clerkauthtest.WithClaim("act", "user_2")),
		"v2 with v1's claims":          member.Token(clerkauthtest.WithClaim("org_id", "org_v1"), clerkauthtest.WithClaim("org_role", "org:owner"), clerkauthtest.WithClaim("org_slug", "v1"), clerkauthtest.WithClaim("org_permissions", []string{"org:a:b"})),
		"v1 with v2's claims":          alone.Token(v1, testkit.Organization(map[string]any{"rol": "owner"})),
		"another version":              member.Token(clerkauthtest.WithClaim("v", 3)),
		"version of no kind":           member.Token(clerkauthtest.WithClaim("v", "2")),
		"role without prefix, v1":      member.Token(v1, clerkauthtest.WithClaim("org_role", "admin")),
		"no role":                      member.Token(testkit.Organization(nil)),
		"no fva":                       member.Token(clerkauthtest.WithoutClaim("fva")),
		"fva of no kind":               member.Token(clerkauthtest.WithClaim("fva", "3,5")),
		"fva beyond an int64":          alone.Token(clerkauthtest.WithClaim("fva", []float64{1e300, 1e300})),
		"fva without a second":         alone.Token(clerkauthtest.WithClaim("fva", []int{7, -1})),
		"one audience":                 member.Token(clerkauthtest.WithClaim("aud", "api")),
		"many audiences":               member.Token(clerkauthtest.WithClaim("aud", []string{"api", "web"})),
		"no nbf, no iat, no jti":       member.Token(clerkauthtest.WithoutClaim("nbf"), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("jti")),
		"fractions":                    member.Token(clerkauthtest.WithClaim("exp", float64(r.Server.Now().Unix())+60.7), clerkauthtest.WithClaim("iat", float64(r.Server.Now().Unix())-0.5)),
		"names in another case":        member.Token(clerkauthtest.WithClaim("Sub", "user_evil"), clerkauthtest.WithClaim("SID", "sess_evil"), clerkauthtest.WithClaim("ORG_ID", "org_evil"), clerkauthtest.WithClaim("V", 1), clerkauthtest.WithClaim("Fva", []int{0, 0}), clerkauthtest.WithClaim("orG_role", "org:owner")),
		"characters that JSON escapes": member.Token(clerkauthtest.WithClaim("jti", "<&>\u2028\"\\é"), clerkauthtest.WithClaim("o", map[string]any{"id": "org_<&>", "slg": "<é>\u2029", "rol": "&"})),
		"custom claims":                member.Token(clerkauthtest.WithClaim("email", "jane@example.com"), clerkauthtest.WithClaim("metadata", map[string]any{"role": "owner"})),
	} {
		t.Run(what, func(t *testing.T) {
			for name, wrap := range map[string]clerkauth.Middleware{"Handler": r.Auth.Handler, "Require": r.Auth.Require(), "both": r.Identified()} {
				claims, ok, who := sdkClaims(t, wrap, testkit.Bearer(token))
				if !ok || claims == nil || !who.SignedIn() {
					t.Fatalf("%s: %v, %v, %+v", name, claims, ok, who)
				}
				verified, err := clerkauth.ClaimsAs[json.RawMessage](who)
				var all map[string]any
				if what == "names in another case" {
					_, payload, _ := strings.Cut(token, ".")
					payload, _, _ = strings.Cut(payload, ".")
					verified, err = base64.RawURLEncoding.DecodeString(payload)
				}
				if err = errors.Join(err, json.Unmarshal(verified, &all)); err != nil {
					t.Fatal(err)
				}
				if n := compareFields(t, reflect.ValueOf(*claims), who, all); n != len(sdkFields) {
					t.Errorf("%d fields were compared, of %d that there should be", n, len(sdkFields))
				}
				// The methods, and with them the unexported fields.
				if err := claims.ValidateWithLeeway(time.Now(), 0); err != nil {
					t.Errorf("ValidateWithLeeway: %v", err)
				}
				if err := claims.ValidateWithLeeway(who.ExpiresAt.Add(time.Second), 0); err == nil {
					t.Error("ValidateWithLeeway does not know of the expiry")
				}
				for _, p := range append(who.Permissions(), "org:none:none") {
					if claims.HasPermission(p) != who.Has(clerkauth.Permission(p)) {
						t.Errorf("HasPermission(%q) is %v", p, claims.HasPermission(p))
					}
				}
				if who.OrgRole != "" && !claims.HasRole(who.OrgRole) || claims.HasRole("org:owner") {
					t.Errorf("HasRole(%q) is false, or the role is another", who.OrgRole)
				}
			}
		})
	}
}

// TestBridgeWithoutSession: without a verified session there are no claims, whatever
// the context held before.
func TestBridgeWithoutSession(t *testing.T) {
	r, down := testkit.NewRig(t), testkit.NewRig(t)
	down.Server.Fail(clerkauthtest.JWKS, 500)
	pending := r.Server.SignIn(r.Jane.User, clerkauthtest.Pending())
	before := func(r *http.Request) {
		*r = *r.WithContext(clerk.ContextWithSessionClaims(r.Context(), &clerk.SessionClaims{RegisteredClaims: clerk.RegisteredClaims{Subject: "user_evil"}}))
	}
	handmade := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := clerkauth.Auth{UserID: "user_1", SessionID: "sess_1", OrgID: "org_1", OrgRole: "org:admin"}
			next.ServeHTTP(w, r.WithContext(clerkauth.NewContext(r.Context(), who)))
		})
	}
	for what, c := range map[string]struct {
		wrap  clerkauth.Middleware
		token string
	}{
		"signed out":                 {r.Auth.Handler, ""},
		"a machine":                  {r.Auth.Handler, "ak_0123456789"},
		"pending":                    {r.Auth.Handler, pending.Token()},
		"a public guard":             {r.Auth.Require(clerkauth.Public), ""},
		"an outage":                  {down.Auth.Handler, down.Jane.Token()},
		"NewContext":                 {handmade, ""},
		"NewContext, inside Handler": {func(next http.Handler) http.Handler { return r.Auth.Handler(handmade(next)) }, r.Jane.Token()},
	} {
		for _, edits := range [][]func(*http.Request){{testkit.Bearer(c.token)}, {testkit.Bearer(c.token), before}} {
			if claims, ok, _ := sdkClaims(t, c.wrap, edits...); ok || claims != nil {
				t.Errorf("%s: %+v, %v", what, claims, ok)
			}
		}
	}
	// The controls.
	if claims, ok, _ := sdkClaims(t, r.Auth.Handler, testkit.Bearer(r.Jane.Token()), before); !ok || claims.Subject != r.Jane.User.ID {
		t.Errorf("signed in: %+v, %v", claims, ok)
	}
	allowing := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.AllowPending = true })
	if claims, ok, who := sdkClaims(t, allowing.Handler, testkit.Bearer(pending.Token())); !ok || claims.Subject != r.Jane.User.ID || who.SessionStatus != clerkauth.SessionPending {
		t.Errorf("pending, where that is allowed: %+v, %v", claims, ok)
	}
}

// TestBridgeInside: claims that a handler puts into the context, as the SDK's
// middleware does, take precedence. Concurrent use is safe.
func TestBridgeInside(t *testing.T) {
	r := testkit.NewRig(t)
	theirs := &clerk.SessionClaims{RegisteredClaims: clerk.RegisteredClaims{Subject: "user_theirs"}}
	inner := func(next http.Handler) http.Handler {
		return r.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(clerk.ContextWithSessionClaims(r.Context(), theirs)))
		}))
	}
	claims, ok, who := sdkClaims(t, inner, testkit.Bearer(r.Jane.Token()))
	if !ok || claims != theirs || who.UserID != r.Jane.User.ID {
		t.Errorf("%+v, %v, %+v", claims, ok, who)
	}
	// A guard inside that accepts the token.
	claims, ok, _ = sdkClaims(t, func(next http.Handler) http.Handler { return inner(testkit.NewAuth(t, r.Server).Require()(next)) }, testkit.Bearer(r.Jane.Token()))
	if !ok || claims.Subject != r.Jane.User.ID {
		t.Errorf("%+v, %v", claims, ok)
	}
	got := testkit.WantReply(t, testkit.Serve(func(next http.Handler) http.Handler {
		return r.Auth.Require().Func(func(w http.ResponseWriter, r *http.Request) {
			first, _ := clerk.SessionClaimsFromContext(r.Context())
			var handlers sync.WaitGroup
			for range 50 {
				handlers.Go(func() {
					ctx, cancel := context.WithCancel(context.WithValue(r.Context(), otherContextKey{}, 1))
					defer cancel()
					if claims, ok := clerk.SessionClaimsFromContext(ctx); !ok || !reflect.DeepEqual(claims, first) {
						t.Errorf("%+v, %v", claims, ok)
					}
				})
			}
			handlers.Wait()
			next.ServeHTTP(w, r)
		})
	}, testkit.Bearer(r.Jane.Token())), 200, "")
	if !strings.Contains(got.Body, r.Jane.User.ID) {
		t.Error(got)
	}
}

type otherContextKey struct{}
