// Package respond writes responses: bodies in JSON, challenges to clients without a usable
// token, the Vary header, and a status where a handler sets none. It knows nothing about
// callers.
package respond

import (
	"encoding/json"
	"net/http"
)

// JSON writes a response with body, which is made of strings and numbers, as its JSON.
func JSON(w http.ResponseWriter, status int, mediaType string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		// Strings and numbers can be marshaled.
		text = []byte("{}")
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// Problem writes problem details (RFC 9457); reason is an extension member.
func Problem(w http.ResponseWriter, status int, detail, reason string) {
	JSON(w, status, "application/problem+json", struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Reason string `json:"reason"`
	}{"about:blank", http.StatusText(status), status, detail, reason})
}
