package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// hasClaims are the claims that has() reads, as the runner reads them.
type hasClaims map[string]any

// rule returns the name of the property for which we deny and the SDK may not, or "" if
// there is none.
func (d hasDecision) rule() string {
	var claims hasClaims
	decoder := json.NewDecoder(bytes.NewReader(d.query.Claims))
	_ = decoder.Decode(&claims) // what does not decode stays empty
	version, versioned := claims["v"]
	status, hasStatus := claims["sts"]
	switch {
	case d.query.ages(claims, d.now):
		return "fva-ageing" // the ages are those of the time when the token was issued
	case d.query.names(unmeetable):
		return "whole-names" // a slug is compared exactly, and an empty name is never met
	case hasStatus && status != "active" && status != "pending":
		return "unknown-status"
	case versioned && version != 1.0 && version != 2.0 && len(d.query.Params) > 0:
		return "known-version"
	case version == 2.0 && d.query.names(claims.organizationAlone):
		return "organization-needed" // rights of an organization need its id
	default:
		return ""
	}
}

// names reports whether such returns true for one of the parameters that have a name.
func (c *hasCase) names(such func(param, name string) bool) bool {
	for _, param := range []string{"role", "permission", "feature", "plan"} {
		var name *string
		if json.Unmarshal(c.Params[param], &name) == nil && name != nil && such(param, *name) {
			return true
		}
	}
	return false
}

// unmeetable reports whether a name is empty or can never be met.
func unmeetable(param, name string) bool {
	if param == "feature" || param == "plan" {
		_, slug, scoped := strings.Cut(name, ":")
		return name == "" || scoped && (slug == "" || strings.Contains(slug, ":"))
	}
	return strings.Trim(strings.ReplaceAll(name, "org:", ""), " ") == ""
}

// organizationAlone reports whether a feature or plan is the organization's, whose id is
// not valid, and not also the user's.
func (c hasClaims) organizationAlone(param, name string) bool {
	o, _ := c["o"].(map[string]any)
	claim := map[string]string{"feature": "fea", "plan": "pla"}[param]
	list, _ := c[claim].(string)
	if isID(o["id"]) || list == "" {
		return false
	}
	scope, slug, scoped := strings.Cut(name, ":")
	if !scoped {
		slug = name
	} else if scope != "o" && scope != "org" && scope != "organization" {
		return false
	}
	owned := func(letter string) bool {
		return slices.ContainsFunc(strings.Split(list, ","), func(entry string) bool {
			owner, value, _ := strings.Cut(strings.TrimSpace(entry), ":")
			return value == slug && strings.Contains(owner, letter)
		})
	}
	return owned("o") && (scoped || !owned("u"))
}

// ages reports whether a factor was verified recently enough when the token was issued,
// but no longer is.
func (c *hasCase) ages(claims hasClaims, now int64) bool {
	issued, ok := claims["iat"].(float64)
	list, _ := claims["fva"].([]any)
	if !ok || len(list) != 2 {
		return false
	}
	passed := float64(now)/60_000 - issued/60
	limits := map[string]float64{"strict_mfa": 10, "strict": 10, "moderate": 60, "lax": 1440}
	var preset string
	var custom struct {
		AfterMinutes float64 `json:"afterMinutes"`
	}
	param := c.Params["reverification"]
	limit := 0.0
	if json.Unmarshal(param, &preset) == nil {
		limit = limits[preset]
	} else if json.Unmarshal(param, &custom) == nil {
		limit = custom.AfterMinutes
	}
	return slices.ContainsFunc(list, func(v any) bool {
		age, ok := v.(float64)
		return ok && age >= 0 && age < limit && age+passed >= limit
	})
}
