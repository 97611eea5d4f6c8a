package browser

import "net/http"

// Capturer finds the parameters that a path has in a pattern. It reports whether the path
// matches.
type Capturer interface {
	Capture(path string) (params map[string]string, ok bool)
}

// Organizations are the patterns of paths that belong to an organization or to a personal
// account. The first that matches counts, those of organizations first.
type Organizations struct {
	Organizations, Personal []Capturer
}

// target is the organization that a path belongs to; both fields are "" for a personal
// account.
type target struct{ id, slug string }

// target returns the organization of a path, which is compared as it was sent, and whether
// a pattern names one.
func (o *Organizations) target(path string) (target, bool) {
	for _, pattern := range o.Organizations {
		params, ok := pattern.Capture(path)
		if !ok {
			continue
		}
		if id := params["id"]; id != "" {
			return target{id: id}, true
		}
		if slug := params["slug"]; slug != "" {
			return target{slug: slug}, true
		}
		break
	}
	for _, pattern := range o.Personal {
		if _, ok := pattern.Capture(path); ok {
			return target{}, true
		}
	}
	return target{}, false
}

// needsOrganization reports whether the path belongs to another organization than the
// session's, so that a handshake has to change that. It never decides what is allowed: a
// request that cannot be redirected goes on with the organization that is active.
func (r *resolution) needsOrganization(v *Verdict) bool {
	f := r.f
	if v.Pending || f.CrossSite || f.Method != http.MethodGet || !f.Navigation || f.Redirects >= maxRedirects || f.Public == "" {
		return false
	}
	t, ok := r.s.Organizations.target(f.Path)
	switch {
	case !ok:
		return false
	case t.id != "":
		return t.id != v.OrgID
	case t.slug != "":
		return t.slug != v.OrgSlug
	default:
		return v.OrgID != ""
	}
}
