package claims

import (
	"math/big"
	"strings"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Org is the active organization of a session. Without one, ID is "".
type Org struct {
	ID, Slug    string
	Role        string // with its prefix: "org:admin"; "" if the token names none
	Permissions []string
}

// Scoped is a list of features or plans, each of a user, of an organization, or
// of both.
type Scoped struct {
	User, Org []string
	Known     bool // false where the claim is absent, empty or not well formed
}

// readScoped reads a comma separated list of <scope>:<slug>, scope being o, u,
// ou or uo. An element without a colon makes the whole claim unreadable: what
// else in it can be relied upon is not known. Other scopes are skipped.
func readScoped(value []byte) Scoped {
	list, ok := strictjson.String(value)
	if !ok || list == "" {
		return Scoped{}
	}
	s := Scoped{Known: true}
	for element := range strings.SplitSeq(list, ",") {
		scope, slug, ok := strings.Cut(trim(element), ":")
		if !ok {
			return Scoped{}
		}
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

// readOrg reads the o claim of a version 2 token.
func readOrg(value []byte, features Scoped) Org {
	var buf [8]strictjson.Member
	members, err := strictjson.Object(value, buf[:0])
	if err != nil {
		return Org{}
	}
	o := Payload(members)
	id, ok := readID(o.get("id"))
	if !ok {
		return Org{}
	}
	org := Org{ID: id}
	org.Slug, _ = strictjson.String(o.get("slg"))
	if role, _ := strictjson.String(o.get("rol")); role != "" {
		org.Role = "org:" + role
	}
	per, _ := strictjson.String(o.get("per"))
	fpm, _ := strictjson.String(o.get("fpm"))
	org.Permissions = permissions(features.Org, per, fpm)
	return org
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
func (p Payload) readOrgV1() Org {
	id, ok := readID(p.get("org_id"))
	if !ok {
		return Org{}
	}
	org := Org{ID: id}
	org.Slug, _ = strictjson.String(p.get("org_slug"))
	org.Role, _ = strictjson.String(p.get("org_role"))
	org.Permissions, _ = readStrings(p.get("org_permissions"))
	return org
}
