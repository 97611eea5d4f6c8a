package clerkauthtest

import (
	"cmp"
	"regexp"
	"strings"
)

// testCode is the code that is never sent: it is that of Clerk's test addresses and numbers.
const testCode = "424242"

var (
	testEmail = regexp.MustCompile(`^[^\s@<>"]*\+clerk_test[^\s@<>"]*@[^\s@<>"]+$`)
	testPhone = regexp.MustCompile(`^\+1[0-9]{3}55501[0-9]{2}$`)
	// separators are how people write numbers: +1 (555) 555-0100.
	separators = strings.NewReplacer(" ", "", "(", "", ")", "", "-", "", ".", "")
)

// testIdentifier returns an email address or phone number in its normal form, if it is
// one of those to which Clerk sends nothing: an address with +clerk_test, or
// +1 (XXX) 555-01XX.
func testIdentifier(s string) (normal string, ok bool) {
	s = strings.TrimSpace(s)
	if phone := separators.Replace(s); testPhone.MatchString(phone) {
		return phone, true
	}
	if len(s) > 254 || !testEmail.MatchString(s) {
		return "", false
	}
	return strings.ToLower(s), true
}

// isPhone reports whether an identifier in its normal form is a phone number.
func isPhone(identifier string) bool {
	return strings.HasPrefix(identifier, "+1") && testPhone.MatchString(identifier)
}

// identifier returns what the user signs in with.
func (u *User) identifier() string { return cmp.Or(u.Email, u.Phone) }

// findUser returns the user with that identifier, or nil. The caller holds mu.
func (s *Server) findUser(identifier string) *User {
	var found *User
	for _, u := range s.users { // the oldest of several, so that the choice is always the same
		if (strings.EqualFold(u.Email, identifier) || u.Phone == identifier) && (found == nil || u.before(found)) {
			found = u
		}
	}
	return found
}

// before reports whether u was created before other.
func (u *User) before(other *User) bool {
	return cmp.Or(u.createdAt.Compare(other.createdAt), strings.Compare(u.ID, other.ID)) < 0
}
