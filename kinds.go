package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/jws"
)

// kind is what a credential claims to be. It is determined before anything is verified,
// and decides only how the credential is verified: no kind is accepted in the place of
// another.
type kind uint8

const (
	kindSession kind = iota + 1
	kindAPIKey
	kindM2M
	kindOAuth
	kindForeign   // another JWT of the instance: of a template, or of an unknown category
	kindUnrelated // a credential that is not of this instance: another issuer's JWT, or not a token of Clerk's
)

// tokenTypes are what kinds are called.
var tokenTypes = map[TokenType]kind{
	SessionToken: kindSession, APIKey: kindAPIKey, M2MToken: kindM2M, OAuthToken: kindOAuth,
}

// name returns the name of k, "" for the last two.
func (k kind) name() TokenType {
	switch k {
	case kindSession:
		return SessionToken
	case kindAPIKey:
		return APIKey
	case kindM2M:
		return M2MToken
	case kindOAuth:
		return OAuthToken
	default:
		return ""
	}
}

// kinds is a set of kinds of callers.
type kinds uint8

const (
	// noCredential is the caller who presents none.
	noCredential kinds = 1
	machines           = 1<<kindAPIKey | 1<<kindM2M | 1<<kindOAuth
	everyone           = noCredential | 1<<kindSession | machines
)

func (k kind) set() kinds { return 1 << k }

func (s kinds) has(k kind) bool { return s&k.set() != 0 }

// Clerk's token categories, in the header member cat.
const (
	categorySession = "cl_B7d4PD111AAA" // session and handshake tokens
	categoryM2M     = "cl_B7d4PD333AAA" // machine-to-machine tokens
	categoryIgnore  = "cl_I7d4PD111III" // not stated
)

// unverified is a credential that has been read and classified.
type unverified struct {
	kind   kind
	raw    string
	err    *Error // why it is refused, if it is unrelated
	opaque bool   // it is not a JWT; what follows is empty
	token  jws.Token
	hints  claims.Hints
}

// opaquePrefixes begin credentials that say nothing about themselves.
var opaquePrefixes = []struct {
	prefix string
	kind   kind
}{{"ak_", kindAPIKey}, {"mt_", kindM2M}, {"oat_", kindOAuth}}

// keyPrefixes begin an instance's own keys. A caller who sends one as a credential has
// given it away, and must not believe that it was accepted.
var keyPrefixes = []string{"sk_", "pk_"}

// classify returns what a credential claims to be, by its prefix, its typ, cat, sub, jti
// and sid. Unknown categories are foreign, so that a kind of token that Clerk will invent
// is not a session. It returns an error for what is not a token, and not unrelated.
//
// This is all that the claims of a payload count for before its signature has been
// verified; see readPayload.
func (a *core) classify(credential string) (unverified, *Error) {
	for _, opaque := range opaquePrefixes {
		if strings.HasPrefix(credential, opaque.prefix) {
			return unverified{kind: opaque.kind, raw: credential, opaque: true}, nil
		}
	}
	token, err := jws.Parse(credential)
	hasPrefix := func(prefix string) bool { return strings.HasPrefix(credential, prefix) }
	if errors.Is(err, jws.ErrParts) && !slices.ContainsFunc(keyPrefixes, hasPrefix) {
		return unverified{kind: kindUnrelated, err: errInvalid.because(notYetToken(credential))}, nil
	}
	if err != nil {
		return unverified{}, errInvalid.because(notYetToken(credential))
	}
	u := unverified{raw: credential, token: token}
	if u.hints, err = claims.ScanToken(&u.token, a.issuers); err != nil {
		return unverified{}, errInvalid.because(nil)
	}
	h := &u.token.Header
	switch {
	case u.hints.Machine, h.Category == categoryM2M:
		u.kind = kindM2M
	case h.Type == "at+jwt", h.Type == "application/at+jwt": // RFC 9068 section 4
		u.kind = kindOAuth
	case h.HasCat && h.Category != categorySession && h.Category != categoryIgnore:
		u.kind = kindForeign
	case h.HasType && h.Type != "JWT":
		return unverified{}, errInvalid.because(nil)
	case !h.HasCat && u.hints.APIKey && !u.hints.Session:
		u.kind = kindAPIKey
	case u.hints.Issuer == claims.OtherIssuer:
		u.kind, u.err = kindUnrelated, newError(ErrTokenIssuer, nil)
	default:
		u.kind = kindSession
	}
	if u.kind != kindUnrelated && u.token.CheckHeader() != nil {
		return unverified{}, errInvalid.because(nil)
	}
	return u, nil
}

// newAccept reads [Config.Accept].
func newAccept(list []TokenType, wrong *mistakes) kinds {
	if list == nil {
		return kindSession.set()
	}
	if len(list) == 0 {
		wrong.add("Accept", errors.New("it is empty: leave it nil to accept session tokens alone"))
	}
	var accept kinds
	for _, name := range list {
		k, ok := tokenTypes[name]
		if !ok {
			wrong.add("Accept", fmt.Errorf("%s is not a kind of token: use SessionToken, APIKey, M2MToken and OAuthToken", hint.Quote(string(name))))
			continue
		}
		accept |= k.set()
	}
	return accept
}
