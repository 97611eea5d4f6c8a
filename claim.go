package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// Claim requires that a custom claim of the caller's session, or, in a [Token], of the
// machine's credential, is one of the given strings, compared exactly. The claim is named
// by the names of members, separated by dots; see [ClaimPath] for names that have dots:
//
//	clerkauth.Claim("metadata.role", "admin", "owner")
//
// Any other value does not meet it: a number, a list, or no claim at all. The claims of
// Clerk and of RFC 7519, which have requirements and fields of their own, and unsafe
// metadata, which users write themselves, can never be met: a route that requires them
// panics when it is registered.
func Claim(name string, values ...string) Access {
	return ClaimPath(strings.Split(name, "."), values...)
}

// ClaimPath is like [Claim] for a claim whose path is given name by name.
func ClaimPath(path []string, values ...string) Access {
	p := policy{op: opClaim, path: slices.Clone(path), texts: slices.Clone(values)}
	names, texts := make([]string, len(path)), make([]string, len(values))
	for i, name := range path {
		if names[i] = name; strings.ContainsAny(name, ". ") {
			names[i] = strconv.Quote(name)
		}
	}
	for i, text := range values {
		texts[i] = strconv.Quote(text)
	}
	p.name = strings.Join(names, ".") + " " + strings.Join(texts, " or ")
	p.wrong = checkClaim(path, values)
	return compile(p)
}

// reserved are the claims of Clerk and of RFC 7519, and what to use in their place.
var reserved = map[string]string{
	"sub": "Auth.Subject", "sid": "Auth.SessionID", "jti": "Auth.TokenID", "iss": "Config.Issuers", "aud": "Config.Audience or Audience",
	"azp": "Config.AuthorizedParties", "exp": "Auth.ExpiresAt", "nbf": "Auth.IssuedAt", "iat": "Auth.IssuedAt", "cnf": "no token that is bound to a key",
	"v": "nothing: it is the version of the token", "sts": "SignedIn and Config.AllowPending", "act": "NotImpersonated, NotAgent and Auth.Actor", "fva": "Reverified",
	"o": "Role, Permission, ActiveOrganization and OrganizationParam", "org_id": "ActiveOrganization and OrganizationParam", "org_slug": "OrganizationParam",
	"org_role": "Role", "org_permissions": "Permission", "fea": "Feature", "pla": "Plan",
	"scp": "Scope", "scope": "Scope", "scopes": "Scope", "client_id": "Auth.ClientID",
}

// unsafeMetadata are the names of what users write about themselves.
var unsafeMetadata = []string{"unsafe_metadata", "unsafeMetadata"}

func checkClaim(path, values []string) error {
	name := strings.Join(path, ".")
	switch {
	case len(path) == 0 || slices.Contains(path, ""):
		return errors.New("claim has an empty name: name the members of its path")
	case reserved[path[0]] != "":
		return fmt.Errorf("claim %q is not a custom claim: use %s", name, reserved[path[0]])
	case slices.ContainsFunc(path, func(name string) bool { return slices.Contains(unsafeMetadata, name) }):
		return fmt.Errorf("claim %q is in unsafe metadata, which users write themselves: use public metadata", name)
	case len(values) == 0 || slices.Contains(values, ""):
		return fmt.Errorf("claim %q: name the values that it may have, none of them empty", name)
	}
	return nil
}

// claims reports whether the verified claim at a path is one of texts. What custom claims
// mean in a version of session tokens that is not known is not known, either.
func (a *Auth) claims(path, texts []string) bool {
	if a.proof == nil || a.proof.claims != nil && a.proof.claims.Version == 0 {
		return false
	}
	text, ok := claims.Text(a.proof.payload, path)
	return ok && slices.Contains(texts, text)
}
