package clerkauth

import "strings"

// instance is the Clerk instance that a publishable key belongs to.
type instance struct {
	production bool
	host       string // of the Frontend API
}

// issuer returns the iss claim of the instance's tokens.
func (i instance) issuer() string { return "https://" + i.host }

// accountsURL returns the origin of the instance's account portal, which Clerk hosts.
func (i instance) accountsURL() string {
	host := strings.Replace(i.host, "clerk.accountsstage.", "accountsstage.", 1)
	if cut := strings.Replace(host, "clerk.accounts.", "accounts.", 1); cut != host {
		host = cut
	} else {
		host = strings.Replace(host, "clerk.", "accounts.", 1)
	}
	return "https://" + host
}
