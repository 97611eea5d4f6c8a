package clerkauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/clerkauth/clerkauth/internal/jws"
)

// callCredential calls Config.Credential. failed reports that it panicked.
func (a *core) callCredential(r *http.Request) (token string, failed bool) {
	failed = true // until it has returned
	defer func() {
		if failed {
			v := recover()
			// What was panicked with may hold the credential.
			a.log.Error("clerkauth: Config.Credential panicked; the caller gets 401", "type", fmt.Sprintf("%T", v))
		}
	}()
	token = a.credential(r)
	return token, false
}

// errCredentialPanicked is the cause of rejecting a request for which Config.Credential
// panicked.
var errCredentialPanicked = errors.New("the function that reads the credential panicked")

// authenticateOwn authenticates a request by what Config.Credential returned for it. A
// browser may send that by itself, wherever the request came from.
func (a *core) authenticateOwn(r *http.Request, p *presented) State {
	token := p.own
	switch {
	case p.failed:
		return rejected(newError(ErrTokenInvalid, errCredentialPanicked))
	case token == "":
		return State{}
	case len(token) <= jws.MaxLen && !oneWord(token): // such as "Bearer …"
		return rejected(newError(ErrTokenInvalid, nil))
	case p.cross:
		return anonymously(newError(ErrCrossSite, nil))
	}
	from := fromHeader
	if inCookie(r, token) {
		from = fromCookie
	}
	return a.authenticateToken(r.Context(), token, from)
}

// inCookie reports whether token is also the value of a cookie, as it is or decoded.
func inCookie(r *http.Request, token string) bool {
	for _, c := range r.Cookies() {
		if decoded, err := url.PathUnescape(c.Value); c.Value == token || err == nil && decoded == token {
			return true
		}
	}
	return false
}
