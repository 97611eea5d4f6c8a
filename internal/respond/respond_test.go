package respond

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestVaryBy(t *testing.T) {
	for _, c := range []struct {
		before []string
		name   string
		want   []string
	}{
		{nil, "Authorization", []string{"Authorization"}},
		{[]string{"Accept"}, "Authorization", []string{"Accept", "Authorization"}},
		{[]string{"Accept, authorization"}, "Authorization", []string{"Accept, authorization"}},
		{[]string{"*"}, "Authorization", []string{"*"}},
		{[]string{"Authorization"}, "*", []string{"Authorization", "*"}},
	} {
		h := http.Header{"Vary": c.before}
		if VaryBy(h, c.name); !slices.Equal(h["Vary"], c.want) {
			t.Errorf("%q and %q: %q, want %q", c.before, c.name, h["Vary"], c.want)
		}
	}
}

func TestProblem(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "1")
	Problem(w, http.StatusForbidden, "not allowed", "forbidden")
	const want = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"not allowed","reason":"forbidden"}` + "\n"
	if w.Code != 403 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/problem+json" || w.Header()["Content-Length"] != nil {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
