package live

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// visitor is a browser of a user who has signed in at a kit.
type visitor struct {
	t         *testing.T
	user      *user
	instances []*instance
	now       time.Time
	decide    func(*request) decision
	jars      map[string]map[string]string // cookies by the origin of the application
	format    string                       // of the results of handshakes: nonce or token
	hops      int
}

// at returns the application on the origin of a URL.
func (v *visitor) at(u *url.URL) *instance {
	i := slices.IndexFunc(v.instances, func(i *instance) bool { return i.origin == u.Scheme+"://"+u.Host })
	if i < 0 {
		return nil
	}
	return v.instances[i]
}

// open requests a page, follows redirects through the Frontend API, and returns the decision
// at which they end.
func (v *visitor) open(address string) decision {
	v.t.Helper()
	v.hops = 0
	for {
		u, err := url.Parse(address)
		if err != nil {
			v.t.Fatal(err)
		}
		on := v.at(u)
		if on == nil {
			v.t.Fatalf("sent to %s", address)
		}
		jar := v.jars[on.origin]
		r := &request{on: on, now: v.now.UnixMilli(), method: http.MethodGet, path: u.EscapedPath()}
		r.headers = [][2]string{{"sec-fetch-dest", "document"}, {"accept", "text/html"}}
		for name, values := range u.Query() {
			r.query = append(r.query, [2]string{name, values[0]})
		}
		for _, name := range slices.Sorted(maps.Keys(jar)) {
			r.cookies = append(r.cookies, [2]string{name, jar[name]})
		}
		d := v.decide(r)
		for _, line := range d.setCookie {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				v.t.Fatal(err)
			}
			if jar[c.Name] = c.Value; c.Value == "" || c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
		if d.outcome != redirect {
			return d
		}
		if v.hops++; v.hops > 8 {
			v.t.Fatalf("there is no end: %v", d)
		}
		address = d.location
		if to, err := url.Parse(address); err == nil && v.at(to) == nil {
			on.kit.at(v.now)
			back, cookies := on.kit.follow(v.t, strings.Replace(address, "format=nonce", "format="+v.format, 1), v.user)
			address = back.String()
			if on.kit.production {
				maps.Copy(v.jars[v.at(back).origin], cookies)
			}
		}
	}
}

// TestAcceptsTheKit: the SDK and this library take the session tokens of the local
// instance, the results of its handshakes in both forms, and refreshed sessions.
func TestAcceptsTheKit(t *testing.T) {
	s := startSDK(t)
	all := newInstances(t)
	began := start // time neither goes back nor jumps, as it would for no server
	for _, on := range all {
		// The application and, for a satellite, the primary one.
		apps := []*instance{on}
		for _, other := range all {
			if on.satellite && other.kit == on.kit && len(other.satellites) > 0 {
				apps = append(apps, other)
			}
		}
		for side, decide := range map[string]func(*request) decision{
			"the SDK": func(r *request) decision { return r.decideTheirs(t, s, "") },
			"we":      func(r *request) decision { return r.decideOurs("") },
		} {
			for _, format := range []string{"nonce", "token"} {
				t.Run(on.name+"/"+side+"/"+format, func(t *testing.T) { began = acceptsKit(t, on, apps, decide, format, began) })
			}
		}
	}
}

func acceptsKit(t *testing.T, on *instance, apps []*instance, decide func(*request) decision, format string, began time.Time) (ended time.Time) {
	u := on.kit.users[0]
	v := &visitor{t: t, user: u, instances: apps, now: began, decide: decide, format: format, jars: map[string]map[string]string{}}
	for _, app := range apps {
		v.jars[app.origin] = map[string]string{}
	}
	jar := v.jars[on.origin]
	signedIn := func(what string, d decision) {
		t.Helper()
		if d.outcome != in || d.auth["userId"] != u.session.User.ID {
			t.Fatalf("%s: %v", what, d)
		}
	}

	// A token in the Authorization header.
	on.kit.at(v.now)
	bearer := &request{on: on, now: v.now.UnixMilli(), method: http.MethodGet, path: "/", headers: [][2]string{{"authorization", "Bearer " + u.session.Token()}}}
	if on.origin == on.kit.Origin() {
		signedIn("a bearer token", decide(bearer))
	}
	if on.options["authorizedParties"] != nil {
		return v.now // tokens of handshakes have no azp
	}

	// A browser that this application does not know yet.
	if on.kit.production {
		jar["__client_uat"] = u.cookies["__client_uat"]
	}
	address := on.origin + "/page?a=1"
	if on.satellite {
		address += "&__clerk_synced=false"
	}
	signedIn("a new browser", v.open(address))
	if v.hops == 0 || jar["__session"+on.kit.suffix()] == "" || jar["__refresh"+on.kit.suffix()] == "" {
		t.Errorf("%d redirects, %v", v.hops, jar)
	}
	signedIn("the next page", v.open(on.origin+"/page"))
	if v.hops != 0 {
		t.Errorf("%d redirects for a signed-in browser", v.hops)
	}

	// The token has expired: it is refreshed, and without a refresh token renewed.
	old := jar["__session"]
	v.now = v.now.Add(2 * time.Minute)
	signedIn("a refreshed session", v.open(on.origin+"/page"))
	if v.hops != 0 || jar["__session"] == old {
		t.Errorf("%d redirects, and the session is new: %t", v.hops, jar["__session"] != old)
	}
	v.now = v.now.Add(2 * time.Minute)
	delete(jar, "__refresh"+on.kit.suffix())
	delete(jar, "__clerk_redirect_count")
	signedIn("a renewed session", v.open(on.origin+"/page"))
	if v.hops == 0 || v.hops > 2 {
		t.Errorf("%d redirects to renew a session", v.hops)
	}
	return v.now
}
