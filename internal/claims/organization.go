package claims

import (
	"math/big"
	"strings"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Org is the active organization of a session. ID is "" if there is none.
type Org struct {
	ID, Slug string
	Role     string // with its prefix in either version, as in "org:admin"; "" if there is none
}

// grants are the features, plans and permissions of a session.
type grants struct {
	features, plans Scoped
	permissions     []string
}

func (s *Session) granted() *grants {
	s.once.Do(func() {
		s.grants.features = readScoped(s.fea)
		s.grants.plans = readScoped(s.pla)
		if s.Version == 2 && s.Org.ID == "" {
			// They belong to the organization in o, which is unknown.
			s.grants.features.Org, s.grants.plans.Org = nil, nil
		}
		if s.orgPermissions != "" {
			s.grants.permissions, _ = readStrings(s.orgPermissions)
		} else {
			per, _ := strictjson.String(s.per)
			fpm, _ := strictjson.String(s.fpm)
			s.grants.permissions = permissions(s.grants.features.Org, per, fpm)
		}
	})
	return &s.grants
}

// Permissions returns the permissions in the active organization, as
// org:feature:permission. The list is shared and must not be changed.
func (s *Session) Permissions() []string { return s.granted().permissions }

// Features returns the fea claim. Its lists are shared and must not be changed.
func (s *Session) Features() Scoped { return s.granted().features }

// Plans returns the pla claim. Its lists are shared and must not be changed.
func (s *Session) Plans() Scoped { return s.granted().plans }

// Scoped holds the features or plans of a user and of an organization.
type Scoped struct {
	User, Org []string
	Known     bool // false if the claim is absent, empty or malformed
}

// readScoped reads a comma separated list of <scope>:<slug>, where scope is o, u, ou or uo.
// An element without a colon makes the whole claim malformed. Other scopes are ignored.
func readScoped(value string) Scoped {
	list := scopedText(value)
	if list == "" {
		return Scoped{}
	}
	s := Scoped{Known: true}
	for element := range strings.SplitSeq(list, ",") {
		scope, slug, _ := strings.Cut(trim(element), ":")
		switch scope {
		case "o":
			s.Org = append(s.Org, slug)
		case "u":
			s.User = append(s.User, slug)
		case "ou", "uo":
			s.Org = append(s.Org, slug)
			s.User = append(s.User, slug)
		}
	}
	return s
}

// scopedText returns the list in a claim, or "" if an element has no colon.
func scopedText(value string) string {
	list, _ := strictjson.String(value)
	for element := range strings.SplitSeq(list, ",") {
		if !strings.Contains(element, ":") {
			return ""
		}
	}
	return list
}

// readOrg reads the o claim of a version 2 token. The grants of a session are spread over o
// and fea: if a part of them is malformed, the session is granted nothing.
func (s *Session) readOrg(value string) {
	if value == "" || strictjson.Null(value) {
		return
	}
	s.odd = !falsy(value) && !falsy(s.fea) && scopedText(s.fea) == ""
	var org Org
	var per, fpm string
	var buf [8]strictjson.Member
	members, _ := strictjson.Object(value, buf[:0])
	for _, m := range members {
		switch m.Name {
		case "id":
			org.ID, _ = readID(m.Value)
		case "slg":
			org.Slug, _ = strictjson.String(m.Value)
		case "rol":
			org.Role = readRole(m.Value)
		case "per":
			per = m.Value
		case "fpm":
			fpm = m.Value
		}
	}
	s.odd = s.odd || !falsy(value) && !falsy(per) && !falsy(fpm) && !(isText(per) && isText(fpm))
	switch {
	case !textOrNothing(per) || !textOrNothing(fpm) || !nothing(s.fea) && scopedText(s.fea) == "":
		s.grantNothing()
	case org.ID != "":
		s.Org, s.per, s.fpm = org, per, fpm
	}
}

// grantNothing removes the grants that do not belong to an organization.
func (s *Session) grantNothing() { s.fea, s.pla, s.Ages = "", "", Ages{} }

// readRole reads the role of a version 2 token, which has no prefix.
func readRole(value string) string {
	switch value {
	case `"admin"`:
		return "org:admin"
	case `"member"`:
		return "org:member"
	}
	role, _ := strictjson.String(value)
	if withoutOrg(role) == "" {
		return ""
	}
	return "org:" + role
}

// readRoleV1 reads the role of a version 1 token, which usually has its prefix. It adds a
// missing one, so that a role has one spelling wherever it is compared.
func readRoleV1(value string) string {
	role, _ := strictjson.String(value)
	if role = withoutOrg(role); role == "" {
		return ""
	}
	return "org:" + role
}

// withoutOrg returns a role without its prefix, which may be repeated.
func withoutOrg(role string) string {
	for strings.HasPrefix(role, "org:") {
		role = role[len("org:"):]
	}
	return role
}

// nothing reports whether a claim is absent, null or empty.
func nothing(value string) bool {
	return value == "" || strictjson.Null(value) || value == `""`
}

// falsy reports whether a claim is absent or false as a condition in JavaScript: Clerk's
// SDKs do not look at it any further.
func falsy(value string) bool {
	f, isNumber := strictjson.Number(value)
	return nothing(value) || value == "false" || isNumber && f == 0
}

func isText(value string) bool {
	_, ok := strictjson.String(value)
	return ok
}

// textOrNothing reports whether a claim is a string or nothing.
func textOrNothing(value string) bool {
	_, ok := strictjson.String(value)
	return ok || nothing(value)
}

// permissions expands Clerk's compressed permissions. fpm has a decimal number for each
// feature of the organization, in their order, in which bit j stands for permission j of
// per. The numbers are unbounded. One that does not consist of ASCII digits grants nothing.
func permissions(features []string, per, fpm string) []string {
	if per == "" || fpm == "" {
		return nil
	}
	names := strings.Split(per, ",")
	for i := range names {
		names[i] = trim(names[i])
	}
	var list []string
	for i, piece := range strings.Split(fpm, ",") {
		if i == len(features) {
			break
		}
		mask, ok := decimal(trim(piece))
		if !ok {
			continue
		}
		for j, name := range names {
			if mask.Bit(j) == 1 {
				list = append(list, "org:"+features[i]+":"+name)
			}
		}
	}
	return list
}

// decimal parses one or more ASCII digits. big.Int would also accept a sign.
func decimal(s string) (*big.Int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return nil, false
	}
	return new(big.Int).SetString(s, 10)
}

// trim removes white space as JavaScript's trim does for ASCII.
func trim(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

// readOrgV1 reads the organization claims of a version 1 token.
func (s *Session) readOrgV1(p Payload) {
	id, ok := readID(p.get("org_id"))
	if !ok {
		return
	}
	s.Org.ID = id
	s.Org.Slug, _ = strictjson.String(p.get("org_slug"))
	s.Org.Role = readRoleV1(p.get("org_role"))
	s.orgPermissions = p.get("org_permissions")
}

// Understood reports whether the claims about the active organization have the form that
// Clerk documents. A token of a later form could restrict what it grants in a way that is
// not known here.
func (s *Session) Understood() bool { return !s.odd }
