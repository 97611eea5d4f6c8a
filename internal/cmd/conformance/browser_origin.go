package main

import (
	"regexp"
	"slices"
	"strings"
)

// crossOrigin reports whether the browser comes from a page of another origin that is none
// of Clerk's.
func (b *browser) crossOrigin() bool {
	from, ok := parseAddress(b.header("referer"))
	if !ok || from.origin() == b.url.origin() {
		return false
	}
	api, _ := parseAddress(b.frontendAPI())
	if b.text("proxyUrl") == "" {
		api.host = b.ownFrontendAPI()
	}
	accounts := regexp.MustCompile(`clerk\.accounts\.|clerk\.`).ReplaceAllString(
		strings.Replace(api.host, "clerk.accountsstage.", "accountsstage.", 1), "accounts.")
	host, _, _ := strings.Cut(from.host, ":")
	name, _, _ := strings.Cut(api.host, ":")
	switch {
	case host == name, from.origin() == "https://"+accounts && b.text("proxyUrl") == "":
		return false
	case b.production():
		return true
	}
	ends := func(suffix string) bool { return strings.HasSuffix(host, suffix) }
	legacy := strings.HasPrefix(host, "accounts.") && slices.ContainsFunc([]string{".lcl.dev", ".lclstage.dev", ".lclclerk.com"}, ends)
	current := slices.ContainsFunc([]string{".accounts.dev", ".accountsstage.dev", ".accounts.lclclerk.com"}, func(suffix string) bool {
		return ends(suffix) && !ends(".clerk"+suffix)
	})
	return !legacy && !current
}

// publicURL returns the public URL of a request as we derive it: nothing but a plain host
// and a web scheme is taken from the nearest proxy, and the path changes neither.
func (c *authCase) publicURL() address {
	href := c.Request.Href
	if href == "" {
		href = c.Request.URL
	}
	u, _ := parseAddress(href)
	u.user = ""
	if host := joined(c.Request.Headers["host"], ", "); host != "" {
		u.host = strings.ToLower(host)
	}
	own := c.secured(u)
	last := func(name string) string {
		entries := strings.Split(joined(c.Request.Headers[name], ","), ",")
		return strings.ToLower(strings.Trim(entries[len(entries)-1], " \t"))
	}
	if scheme := last("x-forwarded-proto"); scheme == "http" || scheme == "https" {
		u.scheme = scheme
	}
	if host := last("x-forwarded-host"); host != "" {
		if !plainHost.MatchString(host) || !goodHost(host) {
			return own
		}
		u.host = host
	}
	u.host = strings.TrimSuffix(u.host, ":"+defaultPorts[u.scheme])
	return c.secured(u)
}

// secured returns u with https if only that is the origin of an authorized party: TLS may
// end at a proxy that does not say so.
func (c *authCase) secured(u address) address {
	parties := c.parties()
	if !slices.Contains(parties, u.origin()) && slices.Contains(parties, "https://"+u.host) {
		u.scheme = "https"
	}
	return u
}

// parties returns the authorized parties of a case.
func (c *authCase) parties() (list []string) {
	_ = readList(c.Options["authorizedParties"], &list)
	return list
}

// strange reports whether the request names a host that is not known to be this server's.
func (b *browser) strange() bool {
	u, parties := b.publicURL(), b.parties()
	return b.on("own-origin") && len(parties) > 0 && !strings.HasPrefix(b.text("proxyUrl"), "/") &&
		!slices.Contains(parties, "https://"+u.host) && !slices.Contains(parties, u.origin())
}

// crossSite reports whether a page of another site may have caused the request: one that
// changes something by its Origin or Sec-Fetch-Site, or one for a websocket, which needs an
// Origin of our own.
func (b *browser) crossSite() bool {
	if !b.on("cross-site") || b.flow != flowCookies || len(b.Request.Headers["cookie"]) == 0 {
		return false
	}
	origin, host := b.header("origin"), b.publicURL().host
	own := origin == "https://"+host || origin == "http://"+host
	trusted := slices.Contains(b.parties(), origin)
	if method := strings.ToUpper(b.Request.Method); method != "GET" && method != "HEAD" && method != "OPTIONS" {
		switch b.header("sec-fetch-site") {
		case "same-origin", "none":
		case "":
			if origin != "" && !own && !trusted {
				return true
			}
		default:
			if !trusted {
				return true
			}
		}
	}
	return b.header("upgrade") != "" && !own && !trusted
}

var plainHost = regexp.MustCompile(`\A(` + label + `(\.` + label + `)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?\z`)
