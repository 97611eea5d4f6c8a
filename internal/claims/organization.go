package claims

import (
	"math/big"
	"strings"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Org is the active organization of a session. Without one, ID is "".
type Org struct {
	ID, Slug string
	Role     string // with its prefix, whatever the token's spelling: "org:admin"; "" if it names none
}

// grants is what a session may use.
type grants struct {
	features, plans Scoped
	permissions     []string
}

func (s *Session) granted() *grants {
	s.once.Do(func() {
		s.grants.features = readScoped(s.fea)
		s.grants.plans = readScoped(s.pla)
		if s.Version == 2 && s.Org.ID == "" {
			// They are those of the organization in o, which is not known.
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

// Permissions are those in the active organization, as org:feature:permission.
// The list is shared and must not be changed.
func (s *Session) Permissions() []string { return s.granted().permissions }

// Features reads the fea claim. Its lists are shared and must not be changed.
func (s *Session) Features() Scoped { return s.granted().features }

// Plans reads the pla claim. Its lists are shared and must not be changed.
func (s *Session) Plans() Scoped { return s.granted().plans }

// Scoped is a list of features or plans, each of a user, of an organization, or
// of both.
type Scoped struct {
	User, Org []string
	Known     bool // false where the claim is absent, empty or not well formed
}

// readScoped reads a comma separated list of <scope>:<slug>, scope being o, u,
// ou or uo. An element without a colon makes the whole claim unreadable: what
// else in it can be relied upon is not known. Other scopes are skipped.
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

// scopedText returns the list in a claim whose elements all have a colon, "" for
// any other.
func scopedText(value string) string {
	list, _ := strictjson.String(value)
	for element := range strings.SplitSeq(list, ",") {
		if !strings.Contains(element, ":") {
			return ""
		}
	}
	return list
}

// readOrg reads the o claim of a version 2 token. What a session may do there is
// spread over o and fea: where a part of it is of a form that Clerk does not
// write, nothing of what the session may do is believed.
func (s *Session) readOrg(value string) {
	if value == "" || strictjson.Null(value) {
		return
	}
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
	switch {
	case !textOrNothing(per) || !textOrNothing(fpm) || !nothing(s.fea) && scopedText(s.fea) == "":
		s.grantNothing()
	case org.ID != "":
		s.Org, s.per, s.fpm = org, per, fpm
	}
}

// grantNothing forgets what a session would be granted outside of an organization.
func (s *Session) grantNothing() { s.fea, s.pla, s.Ages = "", "", Ages{} }

// readRole reads a role as version 2 writes it, without the prefix that every role
// has.
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

// readRoleV1 reads a role as version 1 writes it, usually with its prefix. It gets
// one in any case, so that a role has one spelling wherever it is compared.
func readRoleV1(value string) string {
	role, _ := strictjson.String(value)
	if role = withoutOrg(role); role == "" {
		return ""
	}
	return "org:" + role
}

// withoutOrg returns a role without its prefix, however often that is repeated.
func withoutOrg(role string) string {
	for strings.HasPrefix(role, "org:") {
		role = role[len("org:"):]
	}
	return role
}

// nothing tells whether a claim is absent, null or empty.
func nothing(value string) bool {
	return value == "" || strictjson.Null(value) || value == `""`
}

// textOrNothing tells whether a claim is a string or nothing.
func textOrNothing(value string) bool {
	_, ok := strictjson.String(value)
	return ok || nothing(value)
}

// permissions expands Clerk's compressed permissions. fpm holds one decimal
// number for each organization feature, in their order; bit j of it stands for
// the permission at place j of per. The numbers have no bound, and a piece that
// is not made of ASCII digits gives nothing.
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

// decimal parses one or more ASCII digits; big.Int alone would take a sign and
// underscores, too.
func decimal(s string) (*big.Int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return nil, false
	}
	return new(big.Int).SetString(s, 10)
}

// trim takes away white space as JavaScript's trim does for ASCII.
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
