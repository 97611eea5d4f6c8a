package adaptertest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// hiddenIsTheFrameworksNotFound compares hidden refusals with the framework's response
// for an unknown path: the whole response to the same request.
func hiddenIsTheFrameworksNotFound(t *testing.T, f Framework) {
	for _, identify := range []bool{true, false} {
		t.Run(fmt.Sprintf("identify=%v", identify), func(t *testing.T) {
			srv := clerkauthtest.NewServer(t)
			config := srv.Config()
			config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
			config.HideUnauthorized = true
			config.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err *clerkauth.Error) {
				if !identify { // Identify rejects invalid tokens before the route is known
					t.Errorf("%s %s: the ErrorHandler was called", r.Method, r.URL)
				}
				w.WriteHeader(err.Status)
			}
			a := App{Auth: NewAuth(t, config), Witness: &Witness{}, Identify: identify}
			base := f.Serve(t, a)
			hidden := 0
			for _, r := range requests(srv) {
				if r.path == "/" {
					continue
				}
				for _, accept := range []string{"", "Accept: text/html", "Accept: application/json", "Sec-Fetch-Dest: document"} {
					sent := r
					if accept != "" {
						sent.header = append(slices.Clone(r.header), accept)
					}
					there, body := send(t, base, sent)
					reached := len(a.Witness.Take()) > 0
					if r.status == http.StatusOK {
						if !reached {
							t.Errorf("%s: status %d", r.rule, there.StatusCode)
						}
						continue
					}
					sent.path = "/nowhere"
					nowhere, nothing := send(t, base, sent)
					names := strings.Contains(nothing, sent.path) // fiber v2's names the path
					nothing = strings.ReplaceAll(nothing, sent.path, r.path)
					for _, header := range []http.Header{there.Header, nowhere.Header} {
						header.Del("Date")
						if names {
							header.Del("Content-Length")
						}
					}
					if reached || there.StatusCode != nowhere.StatusCode || body != nothing ||
						!maps.EqualFunc(there.Header, nowhere.Header, slices.Equal) {
						t.Errorf("%s: %d %q %q\ninstead of %d %q %q", r.rule, there.StatusCode, there.Header, body, nowhere.StatusCode, nowhere.Header, nothing)
					}
					if there.StatusCode == http.StatusNotFound {
						hidden++
					}
				}
			}
			if hidden < 30 {
				t.Errorf("%d refusals were hidden: too few for this test", hidden)
			}
		})
	}
}
