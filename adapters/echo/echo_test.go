package clerkecho_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/clerkauth/clerkauth"
	clerkecho "github.com/clerkauth/clerkauth/adapters/echo"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

func TestRules(t *testing.T) {
	adaptertest.Run(t, adaptertest.Framework{
		Serve:   serve,
		Require: func(auth *clerkauth.Authenticator, demands ...clerkauth.Access) { clerkecho.Require(auth, demands...) },
	})
}

// serve starts a, as adaptertest.App says, and returns its address.
func serve(t *testing.T, a adaptertest.App) string {
	e := echo.New()
	e.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	e.Use(middleware.Recover())
	if a.CORS {
		e.Use(middleware.CORS(adaptertest.Origin))
	}
	if a.Identify {
		e.Use(clerkecho.Identify(a.Auth))
	}
	guard := func(demands ...clerkauth.Access) echo.MiddlewareFunc { return clerkecho.Require(a.Auth, demands...) }
	answer := func(c *echo.Context) error {
		return c.String(200, a.Witness.Say(c.Request().Context(), c.Param("slug")))
	}
	later := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			c.Response().Header().Set("X-Later", clerkauth.FromContext(c.Request().Context()).UserID)
			return next(c)
		}
	}
	forge := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			c.SetRequest(c.Request().WithContext(adaptertest.Forged(c.Request().Context())))
			return next(c)
		}
	}
	admin, slug := clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")
	e.GET("/", answer)
	e.GET("/dashboard", answer, guard(), later)
	e.DELETE("/orgs/:slug", answer, guard(admin, slug))
	e.POST("/invoices", answer, guard(adaptertest.Invoices))
	e.GET("/forged", answer, forge, guard())
	e.GET("/panic", func(*echo.Context) error { panic("a handler's") }, guard())
	admins := e.Group("/admin", guard(admin))
	admins.GET("/users", answer)
	admins.GET("/*", answer)
	e.Group("/orgs/:slug", guard(slug)).GET("/x", answer)

	headers := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			adaptertest.SetHeaders(c.Request().URL.RawQuery, c.Response().Header().Add)
			return next(c)
		}
	}
	e.GET("/headers", answer, headers)
	e.GET("/unchecked", answer, guard(clerkauth.Unchecked), headers)
	e.GET("/guarded", answer, guard(), guard(), headers)
	e.GET("/stream", func(c *echo.Context) error {
		if err := answer(c); err != nil {
			return err
		}
		if err := http.NewResponseController(c.Response()).Flush(); err != nil {
			return err
		}
		_, err := io.WriteString(c.Response(), a.Witness.Say(c.Request().Context(), ""))
		return err
	}, guard(), headers)
	e.GET("/empty", func(c *echo.Context) error { return c.NoContent(204) }, guard(), headers)
	e.GET("/error", func(*echo.Context) error { return echo.NewHTTPError(418, "") }, guard(), headers)
	e.POST("/form", answer, guard())
	e.POST("/sign-out", func(c *echo.Context) error {
		if !a.Auth.SignOut(c.Response(), c.Request()) {
			return nil
		}
		return c.Redirect(http.StatusSeeOther, "/")
	})
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.URL
}

// TestBeforeRouting shows that a guard in Pre guards, and knows no parameters.
func TestBeforeRouting(t *testing.T) {
	a, srv := adaptertest.NewApp(t)
	session := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
	for _, test := range []struct {
		rule   string
		demand clerkauth.Access
		token  bool
		status int
	}{
		{"nobody is refused", clerkauth.SignedIn, false, 401},
		{"users pass", clerkauth.SignedIn, true, 200},
		{"a parameter that is not known is none of the caller's", clerkauth.OrganizationParam("slug"), true, 403},
	} {
		e := echo.New()
		e.Pre(clerkecho.Require(a.Auth, test.demand))
		e.GET("/orgs/:slug", func(c *echo.Context) error { return c.NoContent(200) })
		req, rec := httptest.NewRequest("GET", "/orgs/acme", nil), httptest.NewRecorder()
		if test.token {
			session.Authorize(req)
		}
		e.ServeHTTP(rec, req)
		if rec.Code != test.status {
			t.Errorf("%s: status %d", test.rule, rec.Code)
		}
	}
}
