// Package walls tests which imports and uses each package and file of the module is
// allowed.
package walls

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/clerkauth/clerkauth"
	sdk    = "github.com/clerk/clerk-sdk-go/v2"
)

// rules are what a file, or each file of a package, must not import or use.
var rules = []struct {
	of string // a file, or a directory without those below it
	// imports are packages that it must not import, directly or through packages of the
	// module.
	imports []string
	// direct are packages that it must not import directly.
	direct []string
	// uses are functions and types that it must not name, such as "time.Now".
	uses []string
}{
	{of: "internal/csp", imports: []string{"net/http"}},
	{of: "internal/route", imports: []string{"net/http"}},
	{of: "internal/clerkkey", direct: []string{"net/http"}},
	{of: "internal/claims", imports: []string{"net/http"}},
	{of: "internal/jws", imports: []string{"net/http"}},
	{of: "internal/strictjson", imports: []string{"net/http"}},
	{of: "internal/keyset", imports: []string{"net/http"}}, // its sources make the requests
	{of: "internal/introspect", imports: []string{"net/http"}},
	// Only internal/webhook verifies deliveries. What was sent is read and verified without
	// a clock; how a delivery is handled does not depend on HTTP.
	{of: ".", direct: []string{"github.com/svix/svix-webhooks/go"}},
	{of: "internal/webhook/header.go", direct: []string{"context"}, uses: clocks},
	{of: "internal/webhook/signature.go", direct: []string{"context"}, uses: clocks},
	{of: "internal/webhook/handle.go", direct: []string{"net/http"}},
	{of: "internal/webhook/claim.go", direct: []string{"net/http"}},
	{of: "internal/webhook/memory.go", direct: []string{"net/http"}},
	// Judgement and decision are pure: they use neither a context nor a clock.
	{of: "judge.go", direct: []string{"context"}, uses: clocks},
	{of: "policy.go", direct: []string{"context"}, uses: clocks},
	{of: "decision.go", direct: []string{"context"}, uses: clocks},
	{of: "audience.go", direct: []string{"context"}, uses: clocks},
	{of: "internal/browser", direct: []string{"context"}, uses: clocks}, // see TestFacts, too
}

// readers are the files of internal/browser that read requests. The others know no more
// of HTTP than the names of methods.
var readers = []string{"internal/browser/read.go", "internal/browser/pages.go", "internal/browser/expire.go"}

// clocks are functions that read the time or wait.
var clocks = []string{
	"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Tick", "time.NewTimer", "time.NewTicker", "time.Sleep",
}

// pure are the files whose functions must not call functions of the package that
// take a context or read a clock.
var pure = []string{"judge.go", "policy.go", "decision.go", "audience.go"}

// clerkapi is the only package that makes requests to Clerk.
const clerkapi = "internal/clerkapi"

// others are directories with programs and test helpers, which make requests to servers
// that are not Clerk's or that stand in for Clerk's.
var others = []string{"adapters", "clerkauthtest", "deliveriestest", "examples", "stores",
	"internal/adaptertest", "internal/cmd", "internal/example", "internal/storetest", "internal/testkit"}

// requests are the names in net/http and clerk-sdk-go that make requests or a client for
// them.
var requests = []string{
	"net/http.NewRequest", "net/http.NewRequestWithContext", "net/http.Get", "net/http.Head", "net/http.Post", "net/http.PostForm",
	"net/http.Client", "net/http.DefaultClient", "net/http.Transport", "net/http.DefaultTransport",
	"net/http/httputil.ReverseProxy", "net/http/httputil.NewSingleHostReverseProxy",
	sdk + ".NewBackend", sdk + ".GetBackend", sdk + ".SetBackend",
}

// exceptions are uses outside clerkapi that make no request by themselves.
var exceptions = map[string][]string{
	// The default of Config.Transport, which is handed to clerkapi.
	"config.go": {"net/http.DefaultTransport"},
	// A proxy whose transport is clerkapi's.
	"internal/fapiproxy/proxy.go": {"net/http/httputil.ReverseProxy"},
}

// file is a file of the module that is not a test.
type file struct {
	name    string // from the root of the module
	imports map[string]string
	syntax  *ast.File
}

func files(t *testing.T) []file {
	t.Helper()
	var all []file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			if err == nil || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") {
				return filepath.SkipDir // no package of this module
			}
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f := file{name: filepath.ToSlash(relative), imports: map[string]string{}, syntax: syntax}
		for _, spec := range syntax.Imports {
			target := strings.Trim(spec.Path.Value, `"`)
			local := path.Base(strings.TrimSuffix(target, "/v2"))
			if target == sdk {
				local = "clerk"
			}
			if spec.Name != nil {
				local = spec.Name.Name
			}
			f.imports[local] = target
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// uses returns the names that f uses of other packages, such as "net/http.Client".
func (f file) uses() []string {
	var names []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && f.imports[id.Name] != "" {
				names = append(names, f.imports[id.Name]+"."+s.Sel.Name)
			}
		}
		return true
	})
	return names
}

// within reports whether name is dir, or a file in it.
func within(name, dir string) bool { return name == dir || path.Dir(name) == dir }

func TestRules(t *testing.T) {
	all := files(t)
	for _, rule := range rules {
		found := false
		for _, f := range all {
			if !within(f.name, rule.of) {
				continue
			}
			found = true
			for target := range imported(all, f) {
				if slices.Contains(rule.imports, target) {
					t.Errorf("%s imports %s", f.name, target)
				}
			}
			for _, target := range f.imports {
				if slices.Contains(rule.direct, target) {
					t.Errorf("%s imports %s", f.name, target)
				}
			}
			for _, name := range f.uses() {
				if slices.Contains(rule.uses, name) {
					t.Errorf("%s uses %s", f.name, name)
				}
			}
		}
		if !found {
			t.Errorf("there is no %s", rule.of)
		}
	}
}

// imported returns what f imports, directly or through packages of the module.
func imported(all []file, f file) map[string]bool {
	set := map[string]bool{}
	var add func(f file)
	add = func(f file) {
		for _, target := range f.imports {
			if set[target] {
				continue
			}
			set[target] = true
			dir, ours := strings.CutPrefix(target, module+"/")
			for _, other := range all {
				if ours && path.Dir(other.name) == dir {
					add(other)
				}
			}
		}
	}
	add(f)
	return set
}

// TestRequests: only clerkapi makes requests.
func TestRequests(t *testing.T) {
	for _, f := range files(t) {
		if within(f.name, clerkapi) || slices.ContainsFunc(others, func(dir string) bool { return strings.HasPrefix(f.name, dir+"/") }) {
			continue
		}
		for _, name := range f.uses() {
			calls := slices.Contains(requests, name) || strings.HasPrefix(name, sdk+"/") && strings.HasSuffix(name, ".NewClient")
			if calls && !slices.Contains(exceptions[f.name], name) {
				t.Errorf("%s uses %s, which is for %s", f.name, name, clerkapi)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "RoundTrip" {
					t.Errorf("%s has a RoundTripper, which is for %s", f.name, clerkapi)
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "RoundTrip" || s.Sel.Name == "Do" && !onFunction(n)) {
					t.Errorf("%s calls %s, which is for %s", f.name, s.Sel.Name, clerkapi)
				}
			}
			return true
		})
	}
}

// TestTestkit: only tests import the shared test helpers.
func TestTestkit(t *testing.T) {
	for _, f := range files(t) {
		for _, target := range f.imports {
			if target == module+"/internal/testkit" {
				t.Errorf("%s imports %s", f.name, target)
			}
		}
	}
}

// onFunction reports whether call has a function as its argument, like the Do of a
// sync.Once.
func onFunction(call *ast.CallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	_, ok := call.Args[0].(*ast.FuncLit)
	return ok
}

// TestFacts: decisions about browsers depend on facts and findings alone, not on requests,
// which readers read, and write no responses.
func TestFacts(t *testing.T) {
	read := 0
	for _, f := range files(t) {
		if !within(f.name, "internal/browser") {
			continue
		}
		reader := slices.Contains(readers, f.name)
		for _, name := range f.uses() {
			switch {
			case reader && name == "net/http.Request":
				read++
			case name == "net/http.ResponseWriter", name == "net/http.Handler", name == "net/http.HandlerFunc",
				!reader && strings.HasPrefix(name, "net/http.") && !strings.HasPrefix(name, "net/http.Method"):
				t.Errorf("%s uses %s", f.name, name)
			}
		}
	}
	if read < len(readers) {
		t.Errorf("requests are read in %d places", read)
	}
}

// TestPure: the functions that judgement and decision call in their own package take
// no context and read no clock.
func TestPure(t *testing.T) {
	effects := map[string]string{} // functions and methods of the root by name, and what they take or use
	all := files(t)
	for _, f := range all {
		if path.Dir(f.name) != "." {
			continue
		}
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if id, ok := s.X.(*ast.Ident); ok {
					name := f.imports[id.Name] + "." + s.Sel.Name
					if name == "context.Context" || slices.Contains(clocks, name) {
						effects[fn.Name.Name] = name
					}
				}
				if s.Sel.Name == "now" && id(s.X) == "a" {
					effects[fn.Name.Name] = "the clock of a configuration"
				}
				return true
			})
		}
	}
	for _, f := range all {
		if !slices.Contains(pure, f.name) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := id(call.Fun)
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				name = s.Sel.Name
				if _, ok := f.imports[id(s.X)]; ok {
					return true // of another package: see rules
				}
			}
			effect := effects[name]
			if name == "now" {
				effect = "the clock of a configuration"
			}
			if effect != "" {
				t.Errorf("%s calls %s, which uses %s", f.name, name, effect)
			}
			return true
		})
	}
	if effects["authenticate"] == "" && effects["verifySession"] == "" {
		t.Error("nothing is found to have effects")
	}
}

// id returns the name of an identifier, "" for anything else.
func id(n ast.Node) string {
	if i, ok := n.(*ast.Ident); ok {
		return i.Name
	}
	return ""
}
