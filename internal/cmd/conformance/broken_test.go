package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/clerkauth/clerkauth"
)

// TestBrokenProducts compares broken libraries: each is reported, and none is taken
// for a stricter one.
func TestBrokenProducts(t *testing.T) {
	refusing := func(reason clerkauth.Reason) func(*product) {
		return func(p *product) {
			refused := &clerkauth.Error{Reason: reason, Status: http.StatusUnauthorized}
			p.authenticate = func(*clerkauth.Authenticator, *http.Request, []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
				return clerkauth.Auth{}, nil, refused
			}
			p.verify = func(*clerkauth.Authenticator, string) (clerkauth.Auth, error) { return clerkauth.Auth{}, refused }
		}
	}
	machinesAre := func(change func(clerkauth.Auth, error) (clerkauth.Auth, error)) func(*product) {
		return func(p *product) {
			p.authenticate = func(a *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
				who, header, err := authenticate(a, r, kinds)
				if who.TokenType != "" && who.TokenType != clerkauth.SessionToken {
					who, err = change(who, err)
				}
				return who, header, err
			}
		}
	}
	identities := func(change func(clerkauth.Auth) clerkauth.Auth) func(*product) {
		return func(p *product) {
			p.authenticate = func(a *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
				who, header, err := authenticate(a, r, kinds)
				return change(who), header, err
			}
			p.verify = func(a *clerkauth.Authenticator, token string) (clerkauth.Auth, error) {
				who, err := library.verify(a, token)
				return change(who), err
			}
		}
	}
	has := func(answer func(clerkauth.Auth, []clerkauth.Access) bool) func(*product) {
		return func(p *product) { p.has = answer }
	}
	matcher := func(change func(anyOf, allOf func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool)) func(*product) {
		return func(p *product) {
			p.newMatcher = func(patterns []string) (anyOf, allOf func(*http.Request) bool, err error) {
				anyOf, allOf, err = library.newMatcher(patterns)
				if err != nil {
					return nil, nil, err
				}
				anyOf, allOf = change(anyOf, allOf)
				return anyOf, allOf, nil
			}
		}
	}
	// requests breaks the library by letting it see another request.
	requests := func(change func(*http.Request)) func(*product) {
		return func(p *product) {
			p.authenticate = func(a *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
				r = r.Clone(r.Context())
				change(r)
				return authenticate(a, r, kinds)
			}
		}
	}
	cookies := func(change func(string) string) func(*product) {
		return requests(func(r *http.Request) {
			r.Header["Cookie"] = []string{change(strings.Join(r.Header["Cookie"], "; "))}
		})
	}
	// responses breaks it by sending another response.
	responses := func(change func(http.Header, error) error) func(*product) {
		return func(p *product) {
			p.authenticate = func(a *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
				who, header, err := authenticate(a, r, kinds)
				return who, header, change(header, err)
			}
		}
	}
	redirected := func(change func(http.Header)) func(*product) {
		return responses(func(h http.Header, err error) error {
			if h.Get("Location") != "" {
				change(h)
			}
			return err
		})
	}
	always := func(answer bool) func(*http.Request) bool { return func(*http.Request) bool { return answer } }
	errBroken := errors.New("broken")

	reasons := map[string]func(*product){}
	for _, reason := range []clerkauth.Reason{
		clerkauth.ErrTokenMissing, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenType, clerkauth.ErrTokenAlgorithm,
		clerkauth.ErrTokenSignature, clerkauth.ErrTokenClaims, clerkauth.ErrTokenIssuer, clerkauth.ErrTokenExpired,
		clerkauth.ErrTokenFuture, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable, clerkauth.ErrBackendUnavailable,
		reasonConfiguration,
	} {
		reasons["every answer is "+string(reason)] = refusing(reason)
	}
	left := 0
	for _, file := range []struct {
		name   string
		wrecks map[string]func(*product)
		// slack is how many more cases a rule may explain when everything is refused or
		// matched: those that the property applies to, whatever the library returns.
		slack int
	}{
		{"authenticate.json", reasons, 0},
		{"authenticate.json", map[string]func(*product){
			"New always refuses": func(p *product) {
				p.newAuth = func(clerkauth.Config) (*clerkauth.Authenticator, error) { return nil, errBroken }
			},
			"machines are always refused": machinesAre(func(clerkauth.Auth, error) (clerkauth.Auth, error) {
				return clerkauth.Auth{}, &clerkauth.Error{Reason: clerkauth.ErrTokenInvalid}
			}),
			"machines are always unavailable": machinesAre(func(clerkauth.Auth, error) (clerkauth.Auth, error) {
				return clerkauth.Auth{}, &clerkauth.Error{Reason: clerkauth.ErrBackendUnavailable}
			}),
			"every claim is empty": identities(func(who clerkauth.Auth) clerkauth.Auth {
				return clerkauth.Auth{TokenType: who.TokenType, Subject: who.Subject, UserID: who.UserID, SessionID: who.SessionID, TokenID: who.TokenID}
			}),
			"organizations are dropped": identities(func(who clerkauth.Auth) clerkauth.Auth {
				who.OrgID, who.OrgRole, who.OrgSlug = "", "", ""
				return who
			}),
			"every caller is user_x": identities(func(who clerkauth.Auth) clerkauth.Auth {
				if who.UserID != "" {
					who.UserID, who.Subject = "user_x", "user_x"
				}
				return who
			}),
			"every caller is let in": func(p *product) {
				p.authenticate = func(a *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
					if who, header, err := authenticate(a, r, kinds); err == nil {
						return who, header, nil
					}
					return clerkauth.Auth{TokenType: clerkauth.SessionToken, UserID: "user_1", Subject: "user_1", SessionID: "sess_1"}, nil, nil
				}
			},
			"everything panics": func(p *product) {
				p.authenticate = func(*clerkauth.Authenticator, *http.Request, []clerkauth.TokenType) (clerkauth.Auth, http.Header, error) {
					return clerkauth.Auth{}, nil, errBroken
				}
			},
		}, 0},
		{"authenticate.json", map[string]func(*product){
			"client_uat is not needed": cookies(func(line string) string {
				return clientUAT.ReplaceAllString(line, "x=") + "; __client_uat=1"
			}),
			"client_uat is not read":     cookies(func(line string) string { return clientUAT.ReplaceAllString(line, "x=") }),
			"nothing is refreshed":       cookies(func(line string) string { return strings.ReplaceAll(line, "__refresh", "x") }),
			"redirects are not counted":  cookies(func(line string) string { return strings.ReplaceAll(line, loopCookie, "x") }),
			"cookies are not read":       requests(func(r *http.Request) { r.Header.Del("Cookie") }),
			"suffixed cookies come last": cookies(func(line string) string { return suffixedCookie.ReplaceAllString(line, "x=") }),
			"every request is a page":    requests(func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "document") }),
			"no request is a page":       requests(func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "image") }),
			"every method is GET":        requests(func(r *http.Request) { r.Method = http.MethodGet }),
			"the referrer is not read":   requests(func(r *http.Request) { r.Header.Del("Referer") }),
			"the query is not read":      requests(func(r *http.Request) { r.RequestURI, r.URL.RawQuery = r.URL.EscapedPath(), "" }),
			"redirects go elsewhere":     redirected(func(h http.Header) { h.Set("Location", "https://evil.test/"+h.Get("Location")) }),
			"redirects have no query": redirected(func(h http.Header) {
				base, _, _ := strings.Cut(h.Get("Location"), "?")
				h.Set("Location", base)
			}),
			"redirects set no cookies": redirected(func(h http.Header) { h.Del("Set-Cookie") }),
			"redirects set more":       redirected(func(h http.Header) { h.Add("Set-Cookie", "foo=bar") }),
			"nothing is redirected":    redirected(func(h http.Header) { h.Del("Location") }),
			"everything sets a cookie": responses(func(h http.Header, err error) error { h.Add("Set-Cookie", "foo=bar"); return err }),
			"everybody is redirected":  responses(func(h http.Header, err error) error { h.Set("Location", "https://app.example.com/"); return err }),
			"whoever is refused is redirected": responses(func(h http.Header, err error) error {
				if err != nil {
					h.Set("Location", "https://clerk.example.com/v1/client/handshake")
				}
				return err
			}),
		}, 0},
		{"has.json", map[string]func(*product){
			"Has is always false":        has(func(clerkauth.Auth, []clerkauth.Access) bool { return false }),
			"Has is always true":         has(func(clerkauth.Auth, []clerkauth.Access) bool { return true }),
			"Has checks the first alone": has(func(who clerkauth.Auth, of []clerkauth.Access) bool { return len(of) > 0 && who.Has(of[0]) }),
			"Has forgets permissions":    has(forgetting("permission ")),
			"Has forgets roles":          has(forgetting("role ")),
			"Has forgets features":       has(forgetting("feature ")),
			"Has forgets plans":          has(forgetting("plan ")),
			"Has forgets reverification": has(forgetting("reverified")),
			"every token is refused":     refusing(clerkauth.ErrTokenClaims),
			"New always refuses": func(p *product) {
				p.verify = func(*clerkauth.Authenticator, string) (clerkauth.Auth, error) { return clerkauth.Auth{}, errBroken }
			},
		}, 12}, // cases of organization-needed, up to 4 % of all
		{"matcher.json", map[string]func(*product){
			"every pattern is refused": func(p *product) {
				p.newMatcher = func([]string) (anyOf, allOf func(*http.Request) bool, err error) { return nil, nil, errBroken }
			},
			"Any is always true": matcher(func(_, allOf func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool) {
				return always(true), allOf
			}),
			"Any is always false": matcher(func(_, allOf func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool) {
				return always(false), allOf
			}),
			"All is always true": matcher(func(anyOf, _ func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool) {
				return anyOf, always(true)
			}),
			"All is always false": matcher(func(anyOf, _ func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool) {
				return anyOf, always(false)
			}),
			"All is Any": matcher(func(anyOf, _ func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool) {
				return anyOf, anyOf
			}),
			"Any is All": matcher(func(_, allOf func(*http.Request) bool) (func(*http.Request) bool, func(*http.Request) bool) {
				return allOf, allOf
			}),
		}, 20}, // unusual paths that contain the words of the pattern
		{"webhook.json", map[string]func(*product){
			"no event can be read": func(p *product) {
				p.deliver = func(clerkauth.WebhookConfig, *http.Request) (bool, string, error) { return false, "", nil }
			},
			"every delivery is accepted": func(p *product) {
				p.deliver = func(clerkauth.WebhookConfig, *http.Request) (bool, string, error) { return true, "user.created", nil }
			},
			"events have no type": func(p *product) {
				p.deliver = func(c clerkauth.WebhookConfig, r *http.Request) (bool, string, error) {
					ok, _, err := deliver(c, r)
					return ok, "", err
				}
			},
			"every secret is refused": func(p *product) {
				p.deliver = func(clerkauth.WebhookConfig, *http.Request) (bool, string, error) { return false, "", errBroken }
			},
		}, 0},
	} {
		files := only(t, file.name)
		if file.name == "authenticate.json" { // there are many
			files[0].Cases = slices.DeleteFunc(files[0].Cases, func(json.RawMessage) bool { left++; return left%3 > 0 })
		}
		whole := compareQuickly(t, library, files)
		for name, wreck := range file.wrecks {
			t.Run(file.name+"/"+name, func(t *testing.T) {
				p := library
				wreck(&p)
				r := compareQuickly(t, p, files)
				if total := r.total(); total[laxer]+total[unexplained] < 3 {
					t.Errorf("hardly anything is laxer or unexplained: %v", total)
				}
				if was, is := whole.total()[stricter], r.total()[stricter]; is > was+file.slack {
					t.Errorf("%d cases look stricter, %d did before it was broken: %v", is, was, r.rules)
				}
				r.holdToFloors()
				if len(r.bad) == 0 {
					t.Error("nothing is reported")
				}
			})
		}
	}
}

var (
	clientUAT      = regexp.MustCompile(`__client_uat(_[A-Za-z0-9_-]{8})?=`)
	suffixedCookie = regexp.MustCompile(`__(session|client_uat|clerk_db_jwt)_[A-Za-z0-9_-]{8}=`)
)

// compareQuickly compares in virtual time, because the library waits after too many
// calls to the Backend API.
func compareQuickly(t *testing.T, p product, files []corpusFile) (r *report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = compareAll(p, files, nil); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// forgetting returns a Has that is false if an Access of that kind is required.
func forgetting(kind string) func(clerkauth.Auth, []clerkauth.Access) bool {
	return func(who clerkauth.Auth, requirements []clerkauth.Access) bool {
		for _, requirement := range requirements {
			if strings.HasPrefix(requirement.String(), kind) {
				return false
			}
		}
		return who.Has(requirements...)
	}
}

// only returns the file of that name alone.
func only(t *testing.T, name string) []corpusFile {
	t.Helper()
	for _, f := range corpus(t) {
		if f.Name == name {
			return []corpusFile{f}
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// TestFloors: the floors hold for reports in which every difference is explained as
// well.
func TestFloors(t *testing.T) {
	for _, c := range []struct {
		name                   string
		agrees, strict, grants int
		below                  bool
	}{
		{"all alike", 20, 0, 20, false},
		{"all stricter", 0, 20, 0, true},
		{"a little stricter", 97, 3, 97, false},
		{"alike, and nothing granted", 20, 0, 0, true},
		{"too few to say", 0, 5, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReport()
			for i := range c.agrees + c.strict {
				v := verdict{class: stricter, rule: "organization-needed", grants: true, asWell: i < c.grants}
				if i < c.agrees {
					v.class = agree
				}
				r.add("has.json", caseHead{ID: "x", Group: "has.org"}, v)
			}
			r.holdToFloors()
			if below := len(r.bad) > 0; below != c.below {
				t.Errorf("%v", r.bad)
			}
		})
	}
}
