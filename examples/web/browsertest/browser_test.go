package browsertest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take.
const patience = 20 * time.Second

// startChromium starts a browser that finds every host below .test at secure.
func startChromium(t *testing.T, secure net.Addr) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		t.Skip("Chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, // in containers there is none to have
		chromedp.IgnoreCertErrors, chromedp.Flag("host-resolver-rules", "MAP *.test "+secure.String()),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("Chromium does not stop: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// person is somebody with a browser that nobody else uses.
type person struct {
	*world
	first *tab
}

// newPerson opens a browser.
func (w *world) newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{world: w}
	p.first = p.newTab(t)
	return p
}

// tab is a tab of a person's browser, and what happened in it.
type tab struct {
	*person
	t   *testing.T
	ctx context.Context

	// most is how many redirects a page may take a server.
	most int

	mu         sync.Mutex
	requests   []*request
	violations []string
}

// request is a request and the redirects that it was answered with.
type request struct {
	id        network.RequestID
	method    string
	url       string // without its query
	document  bool
	status    int64
	redirects []string // the URLs that answered with one, without their queries
}

func (r *request) String() string {
	return fmt.Sprintf("%s %s %d after %v", r.method, r.url, r.status, r.redirects)
}

// newTab opens another tab.
func (p *person) newTab(t *testing.T) *tab {
	t.Helper()
	parent, option := p.browser, chromedp.WithNewBrowserContext()
	if p.first != nil {
		parent, option = p.first.ctx, func(*chromedp.Context) {}
	}
	b := &tab{person: p, t: t, most: 2}
	ctx, cancel := chromedp.NewContext(parent, option)
	t.Cleanup(cancel)
	b.ctx = ctx
	if err := chromedp.Listen(ctx, b.record); err != nil {
		t.Fatal(err)
	}
	b.do("open a tab", call(log.Enable, cdp.Empty{}), call(network.Enable, network.EnableParams{}),
		call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
			document.addEventListener("securitypolicyviolation", e => console.error("violation", e.violatedDirective, e.blockedURI));`}))
	t.Cleanup(func() {
		if list := b.violated(); len(list) > 0 {
			t.Errorf("Content-Security-Policy: %v", list)
		}
		if t.Failed() {
			t.Logf("requests:\n%s", b.log())
		}
	})
	return b
}

// call is an action that makes a call of Chromium's protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}

// record notes an event.
func (b *tab) record(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		r := b.request(e.RequestID)
		if r == nil {
			r = &request{id: e.RequestID, document: e.Type == network.ResourceTypeDocument}
			b.requests = append(b.requests, r)
		}
		if e.RedirectResponse != nil {
			r.redirects = append(r.redirects, bare(r.url))
		}
		r.method, r.url = e.Request.Method, bare(e.Request.URL)
	case *network.EventResponseReceived:
		if r := b.request(e.RequestID); r != nil {
			r.status = e.Response.Status
		}
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity || strings.Contains(e.Entry.Text, "Content Security Policy") {
			b.violations = append(b.violations, e.Entry.Text)
		}
	}
}

func (b *tab) request(id network.RequestID) *request {
	for _, r := range b.requests {
		if r.id == id {
			return r
		}
	}
	return nil
}

// bare returns a URL without its query: there are secrets in it.
func bare(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "?"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}

func (b *tab) violated() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.violations
}

func (b *tab) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []string
	for _, r := range b.requests {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

// do performs actions, within patience.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx); err != nil { // the first use has to be without a deadline
		b.t.Fatalf("%s: %v", what, err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v\nthe page is\n%s\nrequests:\n%s", what, err, b.text(), b.log())
	}
}

// loads performs an action that makes the tab load a page, and returns the request of that
// page.
func (b *tab) loads(what string, action chromedp.Action[chromedp.Void]) *request {
	b.t.Helper()
	b.mu.Lock()
	before := len(b.requests)
	b.mu.Unlock()
	b.do(what, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.WaitEvent(page.LoadEventFired, nil, action)(ctx, target)
		return chromedp.Void{}, err
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests[before:] {
		if r.document {
			b.checkRedirects(what, r)
			return r
		}
	}
	return &request{} // the browser has kept the page
}

// checkRedirects checks that no page takes a server too many redirects.
func (b *tab) checkRedirects(what string, r *request) {
	b.t.Helper()
	by := map[string]int{}
	for _, from := range r.redirects {
		u, err := url.Parse(from)
		if err == nil {
			by[u.Host]++
		}
	}
	for host, n := range by {
		if n > b.most {
			b.t.Errorf("%s: %d redirects by %s: %v", what, n, host, r)
		}
	}
}

func (b *tab) open(target string) *request {
	b.t.Helper()
	return b.loads("open "+target, chromedp.Navigate(target))
}

func (b *tab) reload() *request {
	b.t.Helper()
	return b.loads("reload", chromedp.Reload())
}

func (b *tab) back() {
	b.t.Helper()
	b.loads("back", chromedp.NavigateBack())
}

// click clicks on something that leads to another page.
func (b *tab) click(selector string) *request {
	b.t.Helper()
	return b.loads("click on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do("fill "+selector, chromedp.SetValue(chromedp.CSS(selector), text))
}

// text returns the text of the page.
func (b *tab) text() string {
	text, err := evaluate[string](b, "document.body ? document.body.innerText : ''")
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *tab) at() string {
	b.t.Helper()
	at, err := evaluate[string](b, "location.href")
	if err != nil {
		b.t.Fatal(err)
	}
	return at
}

func evaluate[T any](b *tab, script string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script))
}

// shows checks that the page has a text, and is at a path.
func (b *tab) shows(path, text string) {
	b.t.Helper()
	u, err := url.Parse(b.at())
	if got := b.text(); err != nil || u.Path != path || !strings.Contains(got, text) {
		b.t.Fatalf("%v, not %s with %q:\n%s\nrequests:\n%s", u, path, text, got, b.log())
	}
}

// hides checks that the page does not have a text.
func (b *tab) hides(text string) {
	b.t.Helper()
	if got := b.text(); strings.Contains(got, text) {
		b.t.Errorf("%q is shown:\n%s", text, got)
	}
}

// waitFor waits until a script returns true.
func (b *tab) waitFor(script string) {
	b.t.Helper()
	b.do("wait for "+script, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Poll[bool](script)(ctx, target)
		return chromedp.Void{}, err
	})
}

// count returns how many requests there were for a path since the tab was opened.
func (b *tab) count(path string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if u, err := url.Parse(r.url); err == nil && u.Path == path {
			n++
		}
	}
	return n
}
