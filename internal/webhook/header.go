package webhook

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// tolerance is by how many seconds a delivery's timestamp may differ from now, as in
	// the Standard Webhooks specification and at Svix.
	tolerance = 5 * 60
	// maxSignatures is how many signatures a delivery may have.
	maxSignatures = 32
)

// headers are the headers of a delivery, each in the one spelling that is accepted.
type headers struct{ id, timestamp, signatures string }

var (
	deliveryID   = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`) // no dot, which separates the parts that are signed
	deliveryTime = regexp.MustCompile(`\A[1-9][0-9]{0,11}\z`)     // without leading zeros
)

// readHeaders reads the headers of a delivery that arrives now. If why is not "", they are
// refused; it is for the operator alone.
func readHeaders(header http.Header, now time.Time) (h headers, why string) {
	id, okID := single(header, "Svix-Id")
	stamp, okStamp := single(header, "Svix-Timestamp")
	signatures, okSignature := single(header, "Svix-Signature")
	if !okID || !okStamp || !okSignature {
		return h, "a header is missing or repeated"
	}
	if !deliveryID.MatchString(id) || !deliveryTime.MatchString(stamp) || strings.Count(signatures, " ") >= maxSignatures {
		return h, "a header is not as Svix writes it"
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return h, "a header is not as Svix writes it"
	}
	if age := now.Unix() - seconds; age > tolerance || age < -tolerance {
		return h, whyClock
	}
	return headers{id, stamp, wellFormed(signatures)}, ""
}

// single returns the value of a header, if it has exactly one. Programs disagree on which
// of several wins.
func single(h http.Header, name string) (string, bool) {
	if lines := h[name]; len(lines) == 1 {
		return lines[0], true
	}
	return "", false
}
