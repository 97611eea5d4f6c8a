package resource

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/route"
)

// Place is which of the described resources a request is inside. The zero value is outside
// all of them.
type Place struct {
	In         []*Resource // for each interpretation of the path, that of URL.Path first
	Unreadable bool        // requests with this path are refused: see [route.Readings]
	Discovery  bool        // clients look for documents there
}

// Resource returns the resource that a request is inside, or nil.
func (p Place) Resource() *Resource {
	if len(p.In) > 0 {
		return p.In[0]
	}
	return nil
}

// placeKey is the context key for *Place.
type placeKey struct{}

// PlaceOf returns the place of the request with that context.
func PlaceOf(ctx context.Context) Place {
	if at, ok := ctx.Value(placeKey{}).(*Place); ok {
		return *at
	}
	return Place{}
}

// place returns the place of r in s, in addition to its place so far, or nil if it is
// outside s.
func (s *Set) place(r *http.Request) *Place {
	at := Place{Discovery: strings.HasPrefix(r.URL.Path, discovery)}
	readings, err := route.Readings(r.URL)
	at.Unreadable = err != nil
	for _, reading := range readings {
		i := slices.IndexFunc(s.resources, func(d *Resource) bool { return d.holds(reading) })
		if i >= 0 && !slices.Contains(at.In, s.resources[i]) {
			at.In = append(at.In, s.resources[i])
		}
	}
	if len(at.In) == 0 && !at.Unreadable && !at.Discovery {
		return nil
	}
	outer := PlaceOf(r.Context())
	at.In, at.Unreadable = append(at.In, outer.In...), at.Unreadable || outer.Unreadable
	return &at
}
