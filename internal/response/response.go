// Package response adds to the headers of a response what authentication decides: Vary,
// Set-Cookie, Cache-Control and others.
package response

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Writer adds headers to one response at the moment they are written, whatever the handler
// did with its header map until then.
//
// Init comes first; the handler gets ResponseWriter, and Finish is called when it has
// returned:
//
//	var w response.Writer
//	w.Init(rw)
//	w.Vary("Authorization, Cookie")
//	next.ServeHTTP(w.ResponseWriter(), r)
//	w.Finish()
//
// The other methods say what to add. Guards inside of next may call them as well, from
// any goroutine (that of [http.TimeoutHandler] may outlive the response); once the headers
// are written they have no effect.
//
// Nothing is added to informational responses, to 101, to a connection that the handler
// hijacks, and after a panic, because Finish is not called then. Trailers are left alone.
//
// A Writer is embedded by value in what its caller allocates for the request anyway. It
// must not be copied after Init. The zero value has no response to write to. A Writer that
// is not told to add anything changes no header.
type Writer struct {
	rw http.ResponseWriter

	mu      sync.Mutex // of everything below
	written bool       // the headers are, or nothing is to be added to them
	cache   cache
	vary    string   // names, as in the header
	cookies []string // lines of Set-Cookie
	added   int      // the number of cookies in the header map already
	fields  []field
	// values holds the values of Vary and Cache-Control, so that setting them allocates
	// nothing, and no two responses share memory that handlers could write to.
	values [2]string
}

type field struct{ name, value string }

// Init sets the response that w adds headers to.
func (w *Writer) Init(rw http.ResponseWriter) { w.rw = rw }

// Apply adds the headers to the header map already, for handlers that look at it. They are
// added again, where they have gone, when they are written.
func (w *Writer) Apply() { w.apply(false) }

// Finish adds the headers if nothing has been written. The server writes them when the
// handlers outside of w have returned, too.
func (w *Writer) Finish() { w.apply(true) }

// Vary adds names, a list such as "Authorization, Cookie", to the Vary header: each once,
// in one line with those that are there. If the handler sets no Cache-Control, private is
// added.
func (w *Writer) Vary(names string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cache = max(w.cache, open)
	switch w.vary {
	case "":
		w.vary = names
	case names:
	default:
		if value, more := merge([]string{w.vary}, names); more {
			w.vary = value
		}
	}
}

// SetCookie appends lines to Set-Cookie, as they are, and makes the response no-store.
// Lines of an earlier call are not added again. The caller must not change lines
// afterwards.
func (w *Writer) SetCookie(lines []string) {
	if len(lines) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cache = noStore
	earlier := w.cookies
	if len(earlier) == 0 {
		w.cookies = slices.Clip(lines)
		return
	}
	for _, line := range lines {
		if !slices.Contains(earlier, line) {
			w.cookies = append(w.cookies, line)
		}
	}
}

// ReplaceCookies is like SetCookie, but what earlier calls said is not added.
func (w *Writer) ReplaceCookies(lines []string) {
	w.mu.Lock()
	if w.added == 0 {
		w.cookies = nil
	}
	w.mu.Unlock()
	w.SetCookie(lines)
}

// SetHeader sets another header. The last value counts.
func (w *Writer) SetHeader(name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fields = append(w.fields, field{name, value})
}

// Guard keeps the response out of shared caches: public and s-maxage are taken out of
// Cache-Control, and private is added unless no-store is there. Without Guard, any word of
// the handler's stands.
func (w *Writer) Guard() { w.restrict(guarded) }

// NoStoreUnlessPrivate makes the response no-store, unless the handler keeps it out of
// shared caches itself.
func (w *Writer) NoStoreUnlessPrivate() { w.restrict(noStoreUnlessPrivate) }

// NoStore makes the response no-store.
func (w *Writer) NoStore() { w.restrict(noStore) }

func (w *Writer) restrict(c cache) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cache = max(w.cache, c)
}

// apply adds the headers to the header map unless they are written. With begun they are
// now. Until then it may be called again: a copy from an empty source or a flush that
// fails begins no response, and handlers may still change the map.
func (w *Writer) apply(begun bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written {
		return
	}
	w.written = begun
	h := w.rw.Header()
	if len(w.cookies) > 0 {
		lines := h["Set-Cookie"]
		for _, line := range w.cookies[:w.added] {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		h["Set-Cookie"] = append(lines, w.cookies[w.added:]...)
		w.added = len(w.cookies)
	}
	for _, f := range w.fields {
		h.Set(f.name, f.value)
	}
	if w.vary != "" {
		if value, more := merge(h["Vary"], w.vary); more {
			w.values[0] = value
			h["Vary"] = w.values[0:1:1]
		}
	}
	if value, other := w.cache.control(h["Cache-Control"]); other {
		w.values[1] = value
		h["Cache-Control"] = w.values[1:2:2]
	}
	if w.cache > open {
		dropTargeted(h)
	}
}

// end says that nothing is to be added from now on.
func (w *Writer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written = true
}

// merge returns a Vary header with the names of the list in addition to those in lines,
// and whether there are such. "*" stands for all names (RFC 9110 section 12.5.5).
func merge(lines []string, list string) (value string, more bool) {
	parts := make([]string, 0, 8) // on the stack
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	if len(parts) == 0 {
		return list, true
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); !varies(lines, name) {
			parts, more = append(parts, name), true
		}
	}
	if !more {
		return "", false
	}
	return strings.Join(parts, ", "), true
}

// varies reports whether lines of Vary contain name.
func varies(lines []string, name string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item == "*" || strings.EqualFold(item, name) {
				return true
			}
		}
	}
	return false
}
