package browser

import (
	"net/http"
	"strings"
	"time"
)

// Facts are what a request says, as far as decisions depend on it.
type Facts struct {
	Method string
	// Public is this server's origin as the browser knows it, "" if that is not known.
	Public string
	// Path and Query are those of the request's target as they were sent.
	Path, Query string
	// Navigation is whether the browser requests a document that it will show, so that
	// it can be redirected.
	Navigation bool
	// Document is whether it says so itself, and not for a frame.
	Document bool
	// Speculative is whether it requests a document before the user goes there.
	Speculative bool
	Referer     string
	// CrossSite is whether a page of another site may have caused the request, so that
	// cookies must not identify its sender.
	CrossSite bool
	// Bearer is a session token in the Authorization header. Beside it, cookies do not
	// identify the caller.
	Bearer string

	Cookies

	// Parameters of the query.
	queryHandshake, queryNonce string
	synced, redirectURL        string
	queryDevBrowser            bool
}

// Read reads the facts of r at a time.
func Read(r *http.Request, s *Settings, public string, now time.Time) Facts {
	f := Facts{
		Method:  r.Method,
		Public:  public,
		Referer: header(r, "Referer"),
		Cookies: readCookies(r.Header["Cookie"], s, now),
	}
	f.Path, f.Query = requestTarget(r)
	f.Navigation, f.Document = navigation(r)
	f.Speculative = f.Navigation && speculative(r)
	f.readQuery()
	return f
}

// readQuery reads the parameters of the query. Of several with one name, the first counts.
func (f *Facts) readQuery() {
	if !strings.Contains(f.Query, "__") && !strings.Contains(f.Query, "%") {
		return
	}
	pairs := parse(f.Query)
	f.queryHandshake, _ = first(pairs, paramHandshake)
	f.queryNonce, _ = first(pairs, paramNonce)
	f.synced, _ = first(pairs, paramSynced)
	f.redirectURL, _ = first(pairs, paramRedirectURL)
	var token string
	if token, f.queryDevBrowser = first(pairs, paramDevBrowser); token != "" {
		f.DevBrowser = token
	}
}

// requestTarget returns the path and query of r as the browser knows them. Handlers around
// this one may have changed r.URL.
func requestTarget(r *http.Request) (path, query string) {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, query, _ = strings.Cut(r.RequestURI, "?")
		return path, query
	}
	return r.URL.EscapedPath(), r.URL.RawQuery
}

// header returns the value of a header, several lines of it as one.
func header(r *http.Request, name string) string {
	lines := r.Header[name]
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, ", ")
}

// navigation reports whether r is for a document, and whether it says so by its
// Sec-Fetch-Dest alone. Browsers send that on secure origins only; Accept has to do
// elsewhere, except for requests to upgrade the connection.
func navigation(r *http.Request) (navigation, document bool) {
	switch dest := header(r, "Sec-Fetch-Dest"); dest {
	case "document":
		return true, true
	case "iframe":
		return true, false
	case "":
		return strings.HasPrefix(header(r, "Accept"), "text/html") && len(r.Header["Upgrade"]) == 0 && !HTMX(r), false
	default:
		return false, false
	}
}

// speculative reports whether a browser prefetches or prerenders.
func speculative(r *http.Request) bool {
	return strings.Contains(header(r, "Sec-Purpose"), "prefetch")
}

// HTMX reports whether r is a request of htmx's for a fragment of a page. A redirect would
// put another page into that fragment.
func HTMX(r *http.Request) bool { return header(r, "Hx-Request") == "true" }

// Page reports whether a browser requests a document for a person to look at, so that a
// sign-in page is more useful than a 401. A list of accepted types that mentions HTML is
// enough here, where a browser does not say what it will do with the response.
func Page(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || len(r.Header["Upgrade"]) > 0 || HTMX(r) {
		return false
	}
	switch header(r, "Sec-Fetch-Dest") {
	case "document", "iframe":
		return true
	case "":
		return strings.Contains(header(r, "Accept"), "text/html")
	default:
		return false
	}
}
