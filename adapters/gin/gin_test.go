package clerkgin_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/clerkauth/clerkauth"
	clerkgin "github.com/clerkauth/clerkauth/adapters/gin"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

func TestRules(t *testing.T) {
	adaptertest.Run(t, adaptertest.Framework{
		Serve:   serve,
		Require: func(auth *clerkauth.Authenticator, demands ...clerkauth.Access) { clerkgin.Require(auth, demands...) },
	})
}

// serve starts a, as adaptertest.App says, and returns its address.
func serve(t *testing.T, a adaptertest.App) string {
	server := httptest.NewServer(newEngine(a))
	t.Cleanup(server.Close)
	return server.URL
}

func newEngine(a adaptertest.App) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard))
	if a.CORS {
		r.Use(allowOrigin)
	}
	if a.Identify {
		r.Use(clerkgin.Identify(a.Auth))
	}
	guard := func(demands ...clerkauth.Access) gin.HandlerFunc { return clerkgin.Require(a.Auth, demands...) }
	answer := func(c *gin.Context) { c.String(200, "%s", a.Witness.Say(c.Request.Context(), c.Param("slug"))) }
	later := func(c *gin.Context) { c.Header("X-Later", clerkauth.FromContext(c.Request.Context()).UserID) }
	forge := func(c *gin.Context) { c.Request = c.Request.WithContext(adaptertest.Forged(c.Request.Context())) }
	admin, slug := clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")
	r.GET("/", answer)
	r.GET("/dashboard", guard(), later, answer)
	r.DELETE("/orgs/:slug", guard(admin, slug), answer)
	r.POST("/invoices", guard(adaptertest.Invoices), answer)
	r.GET("/forged", forge, guard(), answer)
	r.GET("/panic", guard(), func(*gin.Context) { panic("a handler's") })
	admins := r.Group("/admin", guard(admin))
	admins.GET("/users", answer)
	admins.GET("/:rest", answer)
	admins.GET("/:rest/*more", answer)
	r.Group("/orgs/:slug", guard(slug)).GET("/x", answer)

	headers := func(c *gin.Context) { adaptertest.SetHeaders(c.Request.URL.RawQuery, c.Writer.Header().Add) }
	r.GET("/headers", headers, answer)
	r.GET("/unchecked", guard(clerkauth.Unchecked), headers, answer)
	r.GET("/guarded", guard(), guard(), headers, answer)
	r.GET("/stream", guard(), headers, answer, func(c *gin.Context) { c.Writer.Flush() }, answer)
	r.GET("/empty", guard(), headers, func(c *gin.Context) { c.Status(204) })
	r.GET("/error", guard(), headers, func(c *gin.Context) { _ = c.AbortWithError(418, io.EOF) })
	r.POST("/form", guard(), answer)
	r.POST("/sign-out", func(c *gin.Context) {
		if a.Auth.SignOut(c.Writer, c.Request) {
			c.Redirect(http.StatusSeeOther, "/")
		}
	})
	return r
}

// allowOrigin answers preflights, and lets pages of one origin read answers.
func allowOrigin(c *gin.Context) {
	c.Writer.Header().Add("Vary", "Origin")
	c.Header("Access-Control-Allow-Origin", adaptertest.Origin)
	if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
		c.Header("Access-Control-Allow-Headers", "Authorization")
		c.AbortWithStatus(http.StatusNoContent)
	}
}

// TestRouterOptions asks in odd ways of engines that read paths in every way that
// gin has.
func TestRouterOptions(t *testing.T) {
	for name, set := range map[string]func(*gin.Engine){
		"raw path":        func(r *gin.Engine) { r.UseRawPath = true },
		"raw, escaped":    func(r *gin.Engine) { r.UseRawPath, r.UnescapePathValues = true, false },
		"escaped path":    func(r *gin.Engine) { r.UseEscapedPath = true },
		"extra slashes":   func(r *gin.Engine) { r.RemoveExtraSlash = true },
		"fixed path":      func(r *gin.Engine) { r.RedirectFixedPath = true },
		"no redirects":    func(r *gin.Engine) { r.RedirectTrailingSlash = false },
		"methods are 405": func(r *gin.Engine) { r.HandleMethodNotAllowed = true },
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := adaptertest.NewApp(t)
			r := newEngine(a)
			set(r)
			server := httptest.NewServer(r)
			defer server.Close()
			for _, path := range []string{"/admin/users", "//admin/users", "/admin//users", "/admin/users/", "/x/../admin/users",
				"/%61dmin/users", "/admin%2fusers", "/admin/%2e%2e/admin/users", "/ADMIN/users", "//dashboard", "/./dashboard"} {
				adaptertest.Send(t, server.URL, "GET", path, nil, "")
				if seen := a.Witness.Take(); len(seen) > 0 {
					t.Errorf("%s reached a handler", path)
				}
			}
		})
	}
}

// TestPanicInErrorHandlerStopsTheChain has a middleware that recovers and says
// nothing of it, after which gin would call the next handler.
func TestPanicInErrorHandlerStopsTheChain(t *testing.T) {
	_, srv := adaptertest.NewApp(t)
	config := srv.Config()
	config.ErrorHandler = func(http.ResponseWriter, *http.Request, *clerkauth.Error) { panic("an ErrorHandler's") }
	reached := false
	r := gin.New()
	r.Use(gin.CustomRecoveryWithWriter(io.Discard, func(*gin.Context, any) {}))
	r.GET("/", clerkgin.Require(adaptertest.NewAuth(t, config)), func(*gin.Context) { reached = true })
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if reached {
		t.Error("the handler was reached")
	}
}

// TestContextWithFallback shows where gin's own context can be asked.
func TestContextWithFallback(t *testing.T) {
	a, srv := adaptertest.NewApp(t)
	session := srv.SignIn(srv.CreateUser("jane@example.com"))
	for _, fallback := range []bool{true, false} {
		r := gin.New()
		r.ContextWithFallback = fallback
		r.GET("/", clerkgin.Require(a.Auth), func(c *gin.Context) { c.String(200, clerkauth.FromContext(c).UserID) })
		req, rec := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		session.Authorize(req)
		r.ServeHTTP(rec, req)
		if got := rec.Body.String(); (got == session.User.ID) != fallback || !fallback && got != "" {
			t.Errorf("fallback %v: %q", fallback, got)
		}
	}
}

// TestLoggersSeeTheCaller shows that a middleware before the guard knows who was
// calling once the chain has returned.
func TestLoggersSeeTheCaller(t *testing.T) {
	a, srv := adaptertest.NewApp(t)
	session := srv.SignIn(srv.CreateUser("jane@example.com"))
	var log strings.Builder
	r := gin.New()
	r.Use(func(c *gin.Context) {
		c.Next()
		log.WriteString(clerkauth.FromContext(c.Request.Context()).UserID)
	})
	r.GET("/", clerkgin.Require(a.Auth), func(*gin.Context) {})
	req := httptest.NewRequest("GET", "/", nil)
	session.Authorize(req)
	r.ServeHTTP(httptest.NewRecorder(), req)
	if log.String() != session.User.ID {
		t.Errorf("logged %q", log.String())
	}
}

// TestNoRouteAnswersWhatIsHidden compares hidden refusals with an engine's own answer
// for a path where nothing is.
func TestNoRouteAnswersWhatIsHidden(t *testing.T) {
	_, srv := adaptertest.NewApp(t)
	config := srv.Config()
	config.HideUnauthorized = true
	auth := adaptertest.NewAuth(t, config)
	for name, notFound := range map[string]gin.HandlerFunc{
		"answers":           func(c *gin.Context) { c.Header("X-Nothing", "1"); c.JSON(404, gin.H{"nothing": "here"}) },
		"has another mind":  func(c *gin.Context) { c.String(200, "an app of one page") },
		"leaves it to gin":  func(*gin.Context) {},
		"sets a status":     func(c *gin.Context) { c.Status(410) },
		"aborts with error": func(c *gin.Context) { c.AbortWithStatusJSON(404, gin.H{"error": "nothing"}) },
	} {
		r := gin.New()
		r.NoRoute(notFound)
		r.Use(clerkgin.NoRoute(notFound))
		reached := false
		r.GET("/dashboard", clerkgin.Require(auth), func(*gin.Context) { reached = true })
		ask := func(path string) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			r.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
			return rec
		}
		there, nowhere := ask("/dashboard"), ask("/nowhere")
		if reached || there.Code != nowhere.Code || there.Body.String() != nowhere.Body.String() || !maps.EqualFunc(there.Header(), nowhere.Header(), slices.Equal) {
			t.Errorf("%s: %d %q %q instead of %d %q %q", name, there.Code, there.Header(), there.Body, nowhere.Code, nowhere.Header(), nowhere.Body)
		}
	}
}
