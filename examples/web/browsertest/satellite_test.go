package browsertest

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/clerkauth/clerkauth"
)

type (
	emulationParams = emulation.SetDeviceMetricsOverrideParams
	touchParams     = emulation.SetTouchEmulationEnabledParams
)

// html is a page.
func html(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, body)
	})
}

// satellite: somebody who has signed in at localhost is signed in at 127.0.0.1.
func satellite(t *testing.T, s suite) {
	w := development(t, s, nil)
	server, handler := listen(t)
	at := server.URL
	handler.set(newSite(t, w.clerk, at, nil, func(c *clerkauth.Config) {
		c.Browser.Satellite, c.Browser.SatelliteAutoSync = true, true
		c.Browser.Domain = "127.0.0.1"
	}))
	b := w.newPerson(t).first
	b.signIn(janesEmail)
	b.most = 3 // in development a satellite gets the browser's token first
	b.open(at + "/dashboard")
	b.shows("/dashboard", "Hello, Jane Doe")
	b.later(expired)
	b.reload()
	b.shows("/dashboard", "Hello, Jane Doe")
	b.later(expired)
	b.open(b.base + "/dashboard")
	b.shows("/dashboard", "Hello, Jane Doe")

	// Somebody who begins at the satellite signs in at the same page.
	john := w.newPerson(t).first
	john.most = 4
	john.open(at + "/dashboard")
	john.later(time.Minute)
	john.enter(johnsEmail)
	john.shows("/dashboard", "Hello, John Roe")
	john.open(b.base + "/dashboard")
	john.shows("/dashboard", "Hello, John Roe")
}
