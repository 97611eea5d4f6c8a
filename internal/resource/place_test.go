package resource

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestPlaceOf: the innermost resource that holds a path counts, and all of those that some
// interpretation of it is inside.
func TestPlaceOf(t *testing.T) {
	const base = "https://api.example.com"
	set, err := NewSet([]Config{{URL: base + "/mcp"}, {URL: base + "/mcp/deep"}, {URL: base + "/notes"}}, "https://clerk.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]struct {
		in                    []string
		unreadable, discovery bool
	}{
		"/":                        {},
		"/mcpx":                    {},
		"/mcp":                     {in: []string{"/mcp"}},
		"/MCP/sse":                 {in: []string{"/mcp"}},
		"/mcp/deep/x":              {in: []string{"/mcp/deep"}},
		"/mcp/../notes":            {in: []string{"/mcp", "/notes"}},
		"/mcp%00":                  {unreadable: true},
		"/.well-known/oauth-other": {discovery: true},
	} {
		var at Place
		request := httptest.NewRequest(http.MethodGet, target, nil)
		set.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { at = PlaceOf(r.Context()) })).ServeHTTP(httptest.NewRecorder(), request)
		var in []string
		for _, r := range at.In {
			in = append(in, r.URL[len(base):])
		}
		if !slices.Equal(in, want.in) || at.Unreadable != want.unreadable || at.Discovery != want.discovery {
			t.Errorf("%s: %q %+v, want %+v", target, in, at, want)
		}
		if first := at.Resource(); (first != nil) != (len(in) > 0) || first != nil && first != at.In[0] {
			t.Errorf("%s: %+v", target, first)
		}
	}
}
