package respond

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProblem(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "1")
	Problem(w, http.StatusForbidden, "not allowed", "forbidden")
	const want = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"not allowed","reason":"forbidden"}` + "\n"
	if w.Code != 403 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/problem+json" || w.Header()["Content-Length"] != nil {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
