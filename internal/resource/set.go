package resource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	// wellKnown is the beginning of the path of a resource's metadata (RFC 9728 section 3).
	wellKnown = "/.well-known/oauth-protected-resource"
	// discovery is the beginning of every path at which clients look for documents.
	discovery = "/.well-known/oauth-"
)

// Set holds the resources of a server. It is immutable.
type Set struct {
	resources []*Resource          // the innermost of nested ones first
	documents map[string]*Resource // by the paths at which their metadata is served
}

// NewSet returns the Set of the given resources; server is the authorization server of
// those that name none, or "". The error joins everything that is wrong with them.
func NewSet(list []Config, server string) (*Set, error) {
	var wrong []error
	if len(list) == 0 {
		wrong = append(wrong, errors.New("resources: there is none"))
	}
	s := &Set{}
	for _, c := range list {
		r, err := newResource(c, server)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("resource %q: %w", c.URL, err))
			continue
		}
		if slices.ContainsFunc(s.resources, func(other *Resource) bool { return other.served == r.served }) {
			wrong = append(wrong, fmt.Errorf("resource %q: another one has its path", c.URL))
		}
		s.resources = append(s.resources, r)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	slices.SortStableFunc(s.resources, func(x, y *Resource) int { return len(y.segments) - len(x.segments) })
	s.documents = documentsOf(s.resources)
	return s, nil
}

// documentsOf returns resources by the paths at which their metadata is served: those of
// RFC 9728 section 3.1, with a slash at the end or without, and the root's if there is one
// resource.
func documentsOf(resources []*Resource) map[string]*Resource {
	documents := make(map[string]*Resource)
	for _, r := range resources {
		documents[r.served] = r
	}
	also := func(path string, r *Resource) {
		path = strings.TrimSuffix(path, "/")
		for _, path := range []string{path, path + "/"} {
			if documents[path] == nil {
				documents[path] = r
			}
		}
	}
	for _, r := range resources {
		also(r.served, r)
	}
	if len(resources) == 1 {
		also(wellKnown, resources[0])
	}
	return documents
}

// Wrap returns a handler that serves the metadata, and otherwise calls next with the place
// of the request in its context: see [PlaceOf].
func (s *Set) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if document := s.documents[r.URL.Path]; document != nil {
			document.ServeHTTP(w, r)
			return
		}
		if at := s.place(r); at != nil {
			r = r.WithContext(context.WithValue(r.Context(), placeKey{}, at))
			if at.Discovery {
				anyOrigin(w.Header())
			}
			if len(at.In) > 0 {
				exposeChallenge(w.Header())
			}
		}
		next.ServeHTTP(w, r)
	})
}

// exposeChallenge lets pages that can read a response read its challenge.
func exposeChallenge(h http.Header) {
	const name = "Access-Control-Expose-Headers"
	h[name] = append(slices.Clip(h[name]), "WWW-Authenticate") // middleware may share its slice among responses
}
