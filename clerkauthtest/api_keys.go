package clerkauthtest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/apikey"

	"github.com/clerkauth/clerkauth"
)

func (s *Server) createAPIKey(w http.ResponseWriter, r *http.Request) {
	var params apikey.CreateParams
	if !read(w, r, &params) {
		return
	}
	lifetime, timely := seconds(params.SecondsUntilExpiration, 0)
	claims, ok := claimsIn(params.Claims)
	if !timely || !ok || params.Name == nil || *params.Name == "" || params.Subject == nil || !ownsKeys(*params.Subject) {
		writeError(w, http.StatusUnprocessableEntity)
		return
	}
	c := s.newCredential(clerkauth.APIKey, *params.Subject, params.Scopes, lifetime)
	c.name, c.description, c.createdBy, c.claims = *params.Name, params.Description, params.CreatedBy, claims
	created := clerk.APIKeyWithSecret{APIKey: c.apiKey(), Secret: c.Token}
	c.add()
	writeJSON(w, http.StatusOK, created)
}

// ownsKeys reports whether subject is the id of an [Owner].
func ownsKeys(subject string) bool {
	return strings.HasPrefix(subject, "user_") || strings.HasPrefix(subject, "org_")
}

func (s *Server) listAPIKeys(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	all := query.Get("include_invalid") == "true"
	list := clerk.APIKeyList{APIKeys: []*clerk.APIKey{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.credentials {
		if c.Kind == clerkauth.APIKey && c.Subject == query.Get("subject") && (all || !c.revoked && !c.expired()) {
			key := c.apiKey()
			list.APIKeys = append(list.APIKeys, &key)
		}
	}
	list.TotalCount = int64(len(list.APIKeys))
	writeJSON(w, http.StatusOK, list)
}

func (s *Server) serveAPIKey(w http.ResponseWriter, r *http.Request) {
	s.serveCredential(w, r, inPath(r, clerkauth.APIKey), nil)
}

func (s *Server) updateAPIKey(w http.ResponseWriter, r *http.Request) {
	var params apikey.UpdateParams
	if !read(w, r, &params) {
		return
	}
	lifetime, timely := seconds(params.SecondsUntilExpiration, 0)
	claims, ok := claimsIn(params.Claims)
	if !timely || !ok || params.Subject != nil { // the owner cannot be changed
		writeError(w, http.StatusUnprocessableEntity)
		return
	}
	s.serveCredential(w, r, inPath(r, clerkauth.APIKey), func(c *Credential) {
		if params.Claims != nil {
			c.claims = claims
		}
		if params.Scopes != nil {
			c.scopes = params.Scopes
		}
		if params.Description != nil {
			c.description = params.Description
		}
		if lifetime > 0 {
			c.expiration = s.Now().Add(lifetime)
		}
	})
}

func (s *Server) deleteAPIKey(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.credentials)
	s.credentials = slices.DeleteFunc(s.credentials, inPath(r, clerkauth.APIKey))
	if len(s.credentials) == n {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, clerk.DeletedResource{ID: r.PathValue("id"), Object: "api_key", Deleted: true})
}

func (s *Server) serveSecret(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.credentials, inPath(r, clerkauth.APIKey))
	if i < 0 {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, apikey.APIKeySecret{Secret: s.credentials[i].Token})
}
