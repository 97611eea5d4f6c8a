package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// hasClaims are those that has() answers from, as the runner reads them.
type hasClaims map[string]any

// rule names the property for which we say no and the SDK may not, "" if there is
// none.
func (d hasDecision) rule() string {
	var claims hasClaims
	decoder := json.NewDecoder(bytes.NewReader(d.asked.Claims))
	_ = decoder.Decode(&claims) // what does not fit stays empty
	version, versioned := claims["v"]
	status, hasStatus := claims["sts"]
	switch {
	case d.asked.ages(claims, d.now):
		return "fva-ageing" // the ages are those of the moment the token was minted
	case d.asked.names(unmeetable):
		return "whole-names" // a slug is compared as a whole, and nobody has what has no name
	case hasStatus && status != "active" && status != "pending":
		return "unknown-status"
	case versioned && version != 1.0 && version != 2.0 && len(d.asked.Params) > 0:
		return "known-version"
	case version == 2.0 && d.asked.names(claims.organizationAlone):
		return "organization-needed" // nothing of an organization that is not named
	default:
		return ""
	}
}

// names tells whether one of the things that are asked for by name is such.
func (c *hasCase) names(such func(param, name string) bool) bool {
	for _, param := range []string{"role", "permission", "feature", "plan"} {
		var name *string
		if json.Unmarshal(c.Params[param], &name) == nil && name != nil && such(param, *name) {
			return true
		}
	}
	return false
}

// unmeetable tells whether a name is none, or not one that can be had.
func unmeetable(param, name string) bool {
	if param == "feature" || param == "plan" {
		_, slug, scoped := strings.Cut(name, ":")
		return name == "" || scoped && (slug == "" || strings.Contains(slug, ":"))
	}
	return strings.Trim(strings.ReplaceAll(name, "org:", ""), " ") == ""
}

// organizationAlone tells whether a feature or plan is one of the organization's, whose
// id cannot be read, and not the user's as well.
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

// ages tells whether a factor was verified lately enough when the token was minted, and
// no longer is.
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
	asked := c.Params["reverification"]
	limit := 0.0
	if json.Unmarshal(asked, &preset) == nil {
		limit = limits[preset]
	} else if json.Unmarshal(asked, &custom) == nil {
		limit = custom.AfterMinutes
	}
	return slices.ContainsFunc(list, func(v any) bool {
		age, ok := v.(float64)
		return ok && age >= 0 && age < limit && age+passed >= limit
	})
}
