package fapiproxy

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// filter removes from the header of a request what the Frontend API must not believe,
// because the proxy's secret key makes it believe more than it would of the client alone,
// and what is not for Clerk.
func filter(h http.Header) {
	for name := range h {
		if !forwards(name) {
			delete(h, name)
		}
	}
	replace(h, "Cookie", cookies(h["Cookie"]))
	replace(h, "Authorization", authorization(h["Authorization"]))
	replace(h, "Referer", referrer(h["Referer"]))
}

// replace sets a header, or removes it if value is "".
func replace(h http.Header, name, value string) {
	if delete(h, name); value != "" {
		h.Set(name, value)
	}
}

// plainName matches names that are one thing everywhere. CGI and its successors make an
// underscore of a hyphen and of everything else.
var plainName = regexp.MustCompile(`\A[A-Za-z0-9-]+\z`)

// withheld are the names of headers that are not forwarded, in lower case; * is any ending.
var withheld = []string{
	"clerk-*", // the proxy's own
	// Statements about the client by proxies in front, which clients can make, too.
	"forwarded*", "x-forwarded*", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "client-ip",
	"fastly-client-ip", "cf-*", "x-envoy-*", "x-azure-*", "proxy*",
	// Another method, path or host than that of the request line.
	"x-http-method*", "x-method-override", "x-original-*", "x-rewrite-*", "x-host",
	// Who the client is to the gateway in front of the application.
	"x-amzn-oidc-*", "x-goog-*", "x-ms-client-principal*", "x-auth-request-*", "x-pomerium-*",
	// Of the connection, or answered by this server.
	"te", "expect", "http2-settings",
	// A part of a response may be a part of the secret.
	"range", "if-range",
}

// forwards reports whether the client's header of that name is forwarded.
func forwards(name string) bool {
	lower := strings.ToLower(name)
	return plainName.MatchString(name) && !slices.ContainsFunc(withheld, func(other string) bool {
		prefix, any := strings.CutSuffix(other, "*")
		return lower == prefix || any && strings.HasPrefix(lower, prefix)
	})
}

// clerkCookies are the beginnings of the names of Clerk's cookies.
var clerkCookies = []string{"__session", "__client", "__refresh", "__clerk_", "__dev_session"}

// cookies returns Clerk's cookies of those in lines, as they were sent (RFC 6265 section
// 5.4): those of the application are its own.
func cookies(lines []string) string {
	var kept []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			name, _, _ := strings.Cut(pair, "=")
			if slices.ContainsFunc(clerkCookies, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
				kept = append(kept, pair)
			}
		}
	}
	return strings.Join(kept, "; ")
}

// authorization returns the Authorization header if it may be that of Clerk's SDKs. That of
// browsers has a session token as a bearer, and that of native apps the token of a client
// without a scheme. Others, such as Basic, which browsers send to every path, are the
// application's.
func authorization(lines []string) string {
	if len(lines) != 1 {
		return ""
	}
	words := strings.Fields(lines[0])
	if len(words) == 1 || len(words) == 2 && strings.EqualFold(words[0], "Bearer") {
		return lines[0]
	}
	return ""
}

// referrer returns the origin of the page that sent a request. Browsers reveal no more to
// other origins, which the Frontend API is (Referrer Policy section 3.8); that the proxy is
// at the page's own origin does not change whom the URL is for.
func referrer(lines []string) string {
	if len(lines) != 1 {
		return ""
	}
	u, err := url.Parse(lines[0])
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/"
}
