package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// organizationTarget is the organization to which a path belongs, or the personal account.
type organizationTarget struct{ id, slug string }

// name returns the organization's id or slug, "" for the personal account.
func (t *organizationTarget) name() string {
	if t.id != "" {
		return t.id
	}
	return t.slug
}

// syncPatterns returns the patterns of organizationSyncOptions of that name.
func (r *reading) syncPatterns(name string) (patterns []string) {
	options, _ := r.Options["organizationSyncOptions"].(map[string]any)
	_ = readList(options[name], &patterns)
	return patterns
}

// badPattern reports whether the SDK throws because of a pattern.
func (r *reading) badPattern() bool {
	return slices.ContainsFunc(append(r.syncPatterns("organizationPatterns"), r.syncPatterns("personalAccountPatterns")...), func(p string) bool {
		_, err := compilePath(p)
		return err != nil
	})
}

// organization returns the target of the request's path, or nil if it has none. Patterns
// are matched with the path as it is in the URL.
func (b *browser) organization() *organizationTarget {
	for _, pattern := range b.syncPatterns("organizationPatterns") {
		values, ok := matchPath(pattern, b.url.path)
		if !ok {
			continue
		}
		if values["id"] != "" || values["slug"] != "" {
			return &organizationTarget{values["id"], values["slug"]}
		}
		break // the first match counts
	}
	for _, pattern := range b.syncPatterns("personalAccountPatterns") {
		if _, ok := matchPath(pattern, b.url.path); ok {
			return &organizationTarget{}
		}
	}
	return nil
}

// otherOrganization reports whether another organization is active in a session than the
// path's.
func (b *browser) otherOrganization(s *reading) bool {
	target := b.organization()
	if target == nil || s.p["sts"] == "pending" || s.p["sub"] == "" {
		return false
	}
	id, slug := s.p["org_id"], s.p["org_slug"]
	if v, _ := s.number("v"); v == 2 {
		o, _ := s.p["o"].(map[string]any)
		id, slug = o["id"], o["slg"]
	}
	switch {
	case target.id != "":
		return id != target.id
	case target.slug != "":
		return slug != target.slug
	default:
		return truthy(id)
	}
}

// pathPattern is a compiled pattern of path-to-regexp 6.
type pathPattern struct {
	re    *regexp.Regexp
	names []string // of the groups
	split []string // between the repetitions of each, "" if it does not repeat
}

func matchPath(pattern, path string) (map[string]string, bool) {
	p, err := compilePath(pattern)
	if err != nil {
		return nil, false
	}
	m := p.re.FindStringSubmatch(path)
	if m == nil {
		return nil, false
	}
	values := map[string]string{}
	for i, name := range p.names {
		if values[name] = m[i+1]; p.split[i] != "" {
			values[name] = strings.Join(strings.Split(m[i+1], p.split[i]), ",")
		}
	}
	return values, true
}

// pathToken matches the next token of a pattern: a parameter or group with its modifier, a
// group in braces, or a character.
var pathToken = regexp.MustCompile(`(?s)\A(?:([./]?)(?::(\w+)(?:\(((?:[^()\\]|\\.|\(\?:[^()]*\))+)\))?|\(((?:[^()?\\]|\\.|\(\?[:!=][^()]*\))(?:[^()\\]|\\.|\(\?:[^()]*\))*)\))([*+?]?)|\\(.)|([^:(){}*+?]))`)

var errPattern = errors.New("the pattern is invalid")

func compilePath(pattern string) (*pathPattern, error) {
	p := &pathPattern{}
	source := `(?is)\A`
	for unnamed := 0; pattern != ""; {
		m := pathToken.FindStringSubmatch(pattern)
		if m == nil {
			return nil, errPattern
		}
		pattern = pattern[len(m[0]):]
		prefix, name, modifier := regexp.QuoteMeta(m[1]), m[2], m[5]
		value := m[3] + m[4]
		switch {
		case m[6] != "" || m[7] != "":
			source += regexp.QuoteMeta(m[6] + m[7])
			continue
		case name == "":
			name = string(rune('0' + unnamed))
			unnamed++
		case value == "":
			value = `[^/#?]+?`
		}
		split := ""
		switch {
		case modifier != "*" && modifier != "+":
			source += "(?:" + prefix + "(" + value + "))" + modifier
		case prefix == "":
			return nil, errPattern
		default:
			source += "(?:" + prefix + "((?:" + value + ")(?:" + prefix + "(?:" + value + "))*))"
			if split = m[1]; modifier == "*" {
				source += "?"
			}
		}
		p.names, p.split = append(p.names, name), append(p.split, split)
	}
	var err error
	p.re, err = regexp.Compile(source + `[/#?]?\z`)
	return p, err
}
