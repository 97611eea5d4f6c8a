package clerkauth

import (
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
	p.wrong = claims.CheckCustom(path, values)
	return compile(p)
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
