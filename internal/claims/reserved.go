package claims

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// reserved are the claims of Clerk and of RFC 7519, and what an application uses in their
// place.
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

// CheckCustom returns an error unless the claim at path is a custom one, which may be
// required to be one of values.
func CheckCustom(path, values []string) error {
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
