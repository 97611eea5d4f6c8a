package route

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// parseServeMux parses a path in the grammar of [net/http.ServeMux]. It rejects some paths
// that the mux accepts and that would mislead: see decodeLiteral and checkClean.
func parseServeMux(path string) ([]node, error) {
	var nodes []node
	names := map[string]bool{}
	text := "" // literal text since the last wildcard
	flush := func() {
		if text != "" {
			nodes = append(nodes, node{kind: literal, text: text})
			text = ""
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		text += "/"
		if s == "" && last {
			continue // a slash at the end is like {$}: see parse
		}
		if !strings.ContainsAny(s, "{}") {
			if strings.Contains(s, ")") {
				return nil, errors.New(`holds a ")" without "("`)
			}
			lit, err := decodeLiteral(s)
			if err == nil {
				err = checkClean("/" + lit)
			}
			if err != nil {
				return nil, err
			}
			text += lit
			continue
		}
		if len(s) < 3 || s[0] != '{' || s[len(s)-1] != '}' {
			return nil, fmt.Errorf("%q is not a wildcard: {name}, {name...} and {$} fill a whole segment", s)
		}
		name := s[1 : len(s)-1]
		if name == "$" {
			if !last {
				return nil, errors.New("{$} must be at the end")
			}
			continue
		}
		name, rest := strings.CutSuffix(name, "...")
		if rest && !last {
			return nil, fmt.Errorf("{%s...} must be at the end", name)
		}
		if !isIdentifier(name) {
			return nil, fmt.Errorf("%q is not a name for a wildcard", name)
		}
		if names[name] {
			return nil, fmt.Errorf("has two wildcards named %q", name)
		}
		names[name] = true
		flush()
		if rest {
			nodes = append(nodes, node{kind: anything, name: name})
		} else {
			nodes = append(nodes, node{kind: segment, name: name})
		}
	}
	flush()
	return nodes, nil
}

// isIdentifier is net/http's rule for the names of wildcards.
func isIdentifier(s string) bool {
	for i, c := range s {
		if !unicode.IsLetter(c) && c != '_' && (i == 0 || !unicode.IsDigit(c)) {
			return false
		}
	}
	return s != ""
}
