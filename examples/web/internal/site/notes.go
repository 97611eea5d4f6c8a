package site

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/clerkauth/clerkauth"
)

// note is a line of text.
type note struct {
	Text, Author string
	At           time.Time
}

const (
	maxNotes = 20  // of one owner; older ones are dropped
	maxText  = 500 // bytes
)

// notes are those of users and of organizations, by id. The zero value is empty.
type notes struct {
	mu sync.Mutex
	of map[string][]note
}

func (n *notes) add(owner string, one note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = make(map[string][]note)
	}
	list := append([]note{one}, n.of[owner]...) // the latest first
	n.of[owner] = list[:min(len(list), maxNotes)]
}

func (n *notes) list(owner string) []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[owner]
}

// board is the form for notes, and their list.
type board struct {
	Path  string // of the page that it is on
	At    string // where the form is sent to
	Draft string
	Notes []note
}

// boardOf returns the board on the page that r is for: of the organization in its path,
// which the guard of the route has compared with the active one, or else of the user.
func (s *Site) boardOf(r *http.Request) (b board, owner string) {
	who := clerkauth.FromContext(r.Context())
	if r.PathValue("slug") != "" {
		owner, b.Path = who.OrgID, "/orgs/"+who.OrgSlug+"/"
		b.At = b.Path + "notes"
	} else {
		owner, b.Path, b.At = who.UserID, "/dashboard", "/notes"
	}
	b.Draft = clipped(r.URL.Query().Get("text"))
	b.Notes = s.notes.list(owner)
	return b, owner
}

// listNotes is the fragment that htmx requests. A browser that goes there gets the page.
func (s *Site) listNotes(w http.ResponseWriter, r *http.Request) {
	b, _ := s.boardOf(r)
	s.showBoard(w, r, b)
}

// addNote handles the form. The guard of the route has refused forms of other sites.
func (s *Site) addNote(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this form cannot be read", http.StatusBadRequest)
		return
	}
	b, owner := s.boardOf(r)
	if text := clipped(r.PostForm.Get("text")); text != "" {
		author := s.name(r.Context(), clerkauth.FromContext(r.Context()).UserID)
		s.notes.add(owner, note{Text: text, Author: author, At: time.Now()})
		b.Notes = s.notes.list(owner)
	}
	s.showBoard(w, r, b)
}

func (s *Site) showBoard(w http.ResponseWriter, r *http.Request, b board) {
	if r.Header.Get("HX-Request") != "true" {
		http.Redirect(w, r, b.Path, http.StatusSeeOther)
		return
	}
	show(w, http.StatusOK, "board", b)
}

func clipped(text string) string {
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}
