package catalogue

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// Row 229, the time of comparing signatures, is measured in no test: the comparison
// is crypto/hmac's.
var _ = addRows(rows{
	"205/missing_headers":            row205MissingHeaders,
	"206/old_and_future_timestamps":  row206Tolerance,
	"207/timestamp_spellings":        row207TimestampSpellings,
	"208/signature_versions":         row208SignatureVersions,
	"209/signature_lists":            row209SignatureLists,
	"210/signature_base64_spellings": row210SignatureSpellings,
	"211/truncated_signatures":       row211TruncatedSignatures,
	"212/repeated_webhook_headers":   row212HeaderLines,
	"213/webhook_header_families":    row213HeaderFamilies,
	"214/odd_delivery_ids":           row214IDs,
	"215/altered_bodies":             row215AlteredBodies,
	"216/body_sizes":                 row216BodySizes,
	"217/encoded_bodies":             row217ContentEncoding,
	"218/content_types":              row218ContentTypes,
})

// hookRow is a Webhook at the time of the shared vector's signature.
type hookRow struct {
	*testkit.WebhookRig
	handled int
	deliver func(header http.Header, body string) int
}

func newHookRow(t *testing.T, secrets ...string) *hookRow {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{testkit.VectorSecret}
	}
	r := &hookRow{}
	r.WebhookRig = testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.Secrets = testkit.Secrets(secrets...)
		c.Now = func() time.Time { return time.Unix(testkit.VectorTime, 0) }
	})
	r.OnAny(func(context.Context, *event.Raw) error {
		r.handled++
		return nil
	})
	r.deliver = func(header http.Header, body string) int {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, testkit.WebhookURL, strings.NewReader(body))
		req.Header = header
		return r.Serve(req).Code
	}
	return r
}

const hookBody = `{"type":"user.created","data":{"id":"user_1"}}`

var hookIDs atomic.Int64

// hookSigned returns the headers of a delivery that is signed for exactly this body.
func hookSigned(body string) http.Header {
	return hookSignedBy(testkit.VectorSecret, fmt.Sprintf("msg_%d", hookIDs.Add(1)), body)
}

func hookSignedBy(secret, id, body string) http.Header {
	signer, err := svix.NewWebhook(secret)
	if err != nil {
		panic(err)
	}
	signature, err := signer.Sign(id, time.Unix(testkit.VectorTime, 0), []byte(body))
	if err != nil {
		panic(err)
	}
	return http.Header{"Svix-Id": {id}, "Svix-Timestamp": {fmt.Sprint(testkit.VectorTime)}, "Svix-Signature": {signature}}
}

// refuses requires a delivery to be answered with 400 and not handled.
func (r *hookRow) refuses(what string, header http.Header, body string) {
	r.TB.Helper()
	before := r.handled
	if got := r.deliver(header, body); got != http.StatusBadRequest || r.handled != before {
		r.TB.Errorf("%.60s: %d, handled: %t", what, got, r.handled != before)
	}
	if header != nil {
		var e *clerkauth.Error
		if err := r.Verify(header, []byte(body)); err != nil && (!errors.As(err, &e) || e.Error() != "clerkauth: the delivery is not authentic (webhook-not-authentic)") {
			r.TB.Errorf("%.60s: Verify: %v", what, err)
		}
	}
}

// accepts requires a delivery to be handled and acknowledged.
func (r *hookRow) accepts(what string, header http.Header, body string) {
	r.TB.Helper()
	before := r.handled
	if got := r.deliver(header, body); got != http.StatusNoContent || r.handled != before+1 {
		r.TB.Errorf("%.60s: %d, handled: %t", what, got, r.handled != before)
	}
	if err := r.Verify(header, []byte(body)); err != nil {
		r.TB.Errorf("%.60s: Verify: %v", what, err)
	}
}

// hookWith returns the headers of a valid delivery with one changed.
func hookWith(name string, lines ...string) http.Header {
	h := hookSigned(hookBody)
	h[name] = lines
	return h
}

func hookWithSignature(h http.Header, signatures string) http.Header {
	h["Svix-Signature"] = []string{signatures}
	return h
}

func row205MissingHeaders(t *testing.T) {
	r := newHookRow(t)
	for _, name := range []string{"Svix-Id", "Svix-Timestamp", "Svix-Signature"} {
		for _, lines := range [][]string{nil, {}, {""}, {" "}, {"   "}, {"\t"}} {
			r.refuses(fmt.Sprintf("%s %q", name, lines), hookWith(name, lines...), hookBody)
		}
	}
	r.refuses("none", http.Header{}, hookBody)
	r.accepts("all", hookSigned(hookBody), hookBody)
}

func row206Tolerance(t *testing.T) {
	for away, accepted := range map[time.Duration]bool{
		0: true, 5 * time.Minute: true, -5 * time.Minute: true, 5*time.Minute + time.Second: false, -5*time.Minute - time.Second: false,
		-5*time.Minute - time.Millisecond: false, 5*time.Minute + 999*time.Millisecond: true, 24 * time.Hour: false, -24 * time.Hour: false,
	} {
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.Secrets = []clerkauth.Secret{clerkauth.NewSecret(testkit.VectorSecret)}
			c.Now = func() time.Time { return time.Unix(testkit.VectorTime, 0).Add(away) }
		})
		if err := h.Verify(hookSigned(hookBody), []byte(hookBody)); (err == nil) != accepted {
			t.Errorf("%v: %v", away, err)
		}
	}
}

func row207TimestampSpellings(t *testing.T) {
	r := newHookRow(t)
	for _, stamp := range []string{"1614265330.5", "1e9", "+1614265330", "01614265330", " 1614265330", "1614265330 ", "0x60", "-1", "0", "9223372036854775807",
		"9223372036854775808", "-9223372036854775808", strings.Repeat("1", 400), "", "now", "1614265330\n", "1_614_265_330", "１６１４２６５３３０", "1614265330000", "1614265330,1614265330"} {
		r.refuses("signed as the number: "+stamp, hookWith("Svix-Timestamp", stamp), hookBody)
		h := hookWith("Svix-Timestamp", stamp)
		h["Svix-Signature"] = []string{testkit.Sign(h.Get("Svix-Id"), stamp, hookBody)}
		r.refuses("signed as sent: "+stamp, h, hookBody)
	}
}

func row208SignatureVersions(t *testing.T) {
	r := newHookRow(t)
	for _, form := range []string{"v1,", "v1", ",", ",abc", "v1,!!!", "%s", "V1,%s", "v1 ,%s", "v1, %s", "v2,%s", "v1a,%s", "v1 %s", "v1;%s", "v1,%s,", "v1,%s,x", "v1,,%s", ",v1,%s", "v1,%s\n", " v1:%s"} {
		h := hookSigned(hookBody)
		good := strings.TrimPrefix(h.Get("Svix-Signature"), "v1,")
		h["Svix-Signature"] = []string{strings.ReplaceAll(form, "%s", good)}
		r.refuses(form, h, hookBody)
	}
}

func row209SignatureLists(t *testing.T) {
	r := newHookRow(t)
	bad := "v1," + strings.Repeat("A", 43) + "="
	list := func(n int, at int) http.Header {
		h := hookSigned(hookBody)
		entries := make([]string, n)
		for i := range entries {
			entries[i] = bad
		}
		if at >= 0 {
			entries[at] = h.Get("Svix-Signature")
		}
		h["Svix-Signature"] = []string{strings.Join(entries, " ")}
		return h
	}
	for at := range 4 {
		r.accepts("a good one among three bad", list(4, at), hookBody)
	}
	r.accepts("32", list(32, 31), hookBody)
	r.refuses("33", list(33, 0), hookBody)
	r.refuses("64 bad", list(64, -1), hookBody)
	big := list(10_000, 9_999)
	if n := hookAllocates(func() { r.refuses("10,000", big, hookBody) }); n > 256<<10 {
		t.Errorf("10,000 signatures make us allocate %d bytes", n)
	}
}

func row210SignatureSpellings(t *testing.T) {
	r := newHookRow(t)
	// Bodies until a signature has the characters with other spellings.
	for n := 0; ; n++ {
		body := fmt.Sprintf(`{"type":"user.created","n":%d}`, n)
		h := hookSigned(body)
		good := h.Get("Svix-Signature")
		if !strings.ContainsAny(good, "+") || !strings.Contains(good, "/") {
			continue
		}
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		last := strings.IndexByte(alphabet, good[len(good)-2])
		for _, spelling := range []string{
			good[:len(good)-2] + alphabet[last+1:last+2] + "=",
			good[:len(good)-2] + alphabet[last+3:last+4] + "=",
			strings.TrimSuffix(good, "="), good + "=", good[:len(good)-1] + "%3D",
			strings.NewReplacer("+", "-", "/", "_").Replace(good), strings.ReplaceAll(good, "+", "-"), strings.ReplaceAll(good, "/", "_"),
			good[:20] + "\n" + good[20:], good[:20] + "\r\n" + good[20:], good[:20] + " " + good[20:], good + "\n", strings.ToLower(good),
		} {
			h["Svix-Signature"] = []string{spelling}
			r.refuses(spelling, h, body)
		}
		h["Svix-Signature"] = []string{good}
		r.accepts(good, h, body)
		return
	}
}

func row211TruncatedSignatures(t *testing.T) {
	r := newHookRow(t)
	h := hookSigned(hookBody)
	good := strings.TrimPrefix(h.Get("Svix-Signature"), "v1,")
	for n := range len(good) {
		h["Svix-Signature"] = []string{"v1," + good[:n]}
		r.refuses(fmt.Sprint(n, " characters"), h, hookBody)
	}
	for _, digest := range []string{"", "=", "====", good[:40] + "====", good + good, strings.Repeat("A", 43) + "="} {
		h["Svix-Signature"] = []string{"v1," + digest}
		r.refuses(digest, h, hookBody)
	}
}

func row212HeaderLines(t *testing.T) {
	r := newHookRow(t)
	for _, name := range []string{"Svix-Id", "Svix-Timestamp", "Svix-Signature"} {
		h := hookSigned(hookBody)
		good := h.Get(name)
		for _, lines := range [][]string{{good, good}, {"bad", good}, {good, "bad"}, {good, ""}, {"", good}, {good + "," + good}, {good + ", bad"}} {
			h[name] = lines
			r.refuses(fmt.Sprintf("%s %q", name, lines), h, hookBody)
		}
	}
	// The list is separated by spaces; an entry of an unknown version is skipped.
	h := hookSigned(hookBody)
	r.accepts("joined by a comma and a space", hookWithSignature(h, "v1,x, "+h.Get("Svix-Signature")), hookBody)
}

func row213HeaderFamilies(t *testing.T) {
	r := newHookRow(t)
	rename := func(h http.Header, names ...string) http.Header {
		for _, name := range names {
			h["Webhook-"+name] = h["Svix-"+name]
			delete(h, "Svix-"+name)
		}
		return h
	}
	r.refuses("the other family", rename(hookSigned(hookBody), "Id", "Timestamp", "Signature"), hookBody)
	for _, names := range [][]string{{"Id"}, {"Timestamp"}, {"Signature"}, {"Id", "Timestamp"}, {"Timestamp", "Signature"}} {
		r.refuses(fmt.Sprint("mixed: ", names), rename(hookSigned(hookBody), names...), hookBody)
	}
	h := rename(hookSigned(hookBody), "Id", "Timestamp", "Signature")
	for _, name := range []string{"Id", "Timestamp", "Signature"} {
		h["Svix-"+name] = []string{"x"}
	}
	r.refuses("bad ones of ours, good ones of the other family", h, hookBody)
	h = hookSigned(hookBody)
	h["Webhook-Id"], h["Webhook-Signature"] = []string{"msg_other"}, []string{"v1,x"}
	r.accepts("other headers are ignored beside ours", h, hookBody)
}

func row214IDs(t *testing.T) {
	r := newHookRow(t)
	for _, id := range []string{"msg_1.16142", ".", "msg_1.", ".msg_1", "msg 1", " msg_1", "msg_1 ", "msg_1\n", "msg_1\x00", "msg_é", "msg_１", "msg_1,msg_2", "msg_1/..", "msg_1:x", "{msg}",
		strings.Repeat("m", 129), "msg_" + strings.Repeat("1", 10<<10)} {
		r.refuses(id, hookSignedBy(testkit.VectorSecret, id, hookBody), hookBody)
	}
	// The attack with a dot in an id: the body of one delivery becomes another's.
	const body, moved = hookBody, "5330." + hookBody
	h := hookSignedBy(testkit.VectorSecret, "msg_1", body)
	h["Svix-Id"], h["Svix-Timestamp"] = []string{"msg_1.161426"}, []string{"5330"}
	r.refuses("a moved boundary", h, body)
	r.refuses("a moved boundary", h, moved)
	for _, id := range []string{"m1", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "evt-1", strings.Repeat("m", 128)} {
		r.accepts(id, hookSignedBy(testkit.VectorSecret, id, hookBody), hookBody)
	}
}

func row215AlteredBodies(t *testing.T) {
	r := newHookRow(t)
	for i := range len(hookBody) {
		altered := []byte(hookBody)
		altered[i] ^= 1
		r.refuses(fmt.Sprintf("byte %d", i), hookSigned(hookBody), string(altered))
	}
	for what, body := range map[string]string{
		"indented": "{\n  \"type\": \"user.created\",\n  \"data\": {\"id\": \"user_1\"}\n}", "reordered": `{"data":{"id":"user_1"},"type":"user.created"}`,
		"a BOM": "\ufeff" + hookBody, "a newline": hookBody + "\n", "a space": " " + hookBody, "truncated": hookBody[:len(hookBody)-1], "nothing": "", "twice": hookBody + hookBody,
	} {
		r.refuses(what, hookSigned(hookBody), body)
	}
	// Signed with the BOM it is authentic, but not JSON; signed without, it is not
	// authentic.
	r.refuses("a signed BOM", hookSigned("\ufeff"+hookBody), "\ufeff"+hookBody)
}

func row216BodySizes(t *testing.T) {
	const limit = 1 << 20
	r := newHookRow(t)
	sized := func(n int) string {
		return `{"type":"user.created","x":"` + strings.Repeat("x", n-len(`{"type":"user.created","x":""}`)) + `"}`
	}
	r.accepts("1 MiB", hookSigned(sized(limit)), sized(limit))
	before := r.handled
	for what, length := range map[string]int64{"with its length": limit + 1, "chunked": -1, "with a lie": 10} {
		body := sized(limit + 1)
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, testkit.WebhookURL, strings.NewReader(body))
		req.Header, req.ContentLength = hookSigned(body), length
		if w := r.Serve(req); w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("1 MiB and a byte, %s: %d", what, w.Code)
		}
	}
	// On the wire: a length that is too short or too long, and a connection that
	// breaks.
	server := httptest.NewServer(r)
	defer server.Close()
	send := func(length, chunks string) string {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", length)
		for name, lines := range hookSigned(hookBody) {
			fmt.Fprintf(conn, "%s: %s\r\n", name, lines[0])
		}
		fmt.Fprint(conn, "\r\n"+chunks)
		// A complete request waits for its response; a broken one receives none.
		if whole := strings.HasSuffix(chunks, "0\r\n\r\n"); !whole {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "no answer"
		}
		defer func() { _ = answer.Body.Close() }()
		return fmt.Sprint(answer.StatusCode)
	}
	half := hookBody[:len(hookBody)/2]
	for what, got := range map[string]string{
		"a length that is too short": send(fmt.Sprintf("Content-Length: %d", len(half)), hookBody),
		"a length that is too long":  send(fmt.Sprintf("Content-Length: %d", len(hookBody)+1), hookBody),
		"cut half way":               send(fmt.Sprintf("Content-Length: %d", len(hookBody)), half),
		"cut between chunks":         send("Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n", len(half), half)),
		"a whole body without end":   send("Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n", len(hookBody), hookBody)),
	} {
		if got != "400" && got != "no answer" {
			t.Errorf("%s: %s", what, got)
		}
	}
	if r.handled != before {
		t.Error("a handler saw a part")
	}
	if got := send("Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hookBody), hookBody)); got != "204" || r.handled != before+1 {
		t.Errorf("chunked: %s", got)
	}
}

func row217ContentEncoding(t *testing.T) {
	r := newHookRow(t)
	zip := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		return b.String()
	}
	zipped := zip(hookBody)
	bomb := zip(strings.Repeat(" ", 4<<20))
	for what, body := range map[string]string{"signed over the plain text": hookBody, "signed over what came": zipped} {
		h := hookSigned(body)
		h.Set("Content-Encoding", "gzip")
		r.refuses(what, h, zipped)
	}
	h := hookSigned(bomb)
	h.Set("Content-Encoding", "gzip")
	if n := hookAllocates(func() { r.refuses("a bomb", h, bomb) }); n > 2<<20 {
		t.Errorf("4 MiB in %d bytes make us allocate %d", len(bomb), n)
	}
	h = hookSigned(hookBody)
	h.Set("Content-Encoding", "gzip")
	r.accepts("plain, despite its Content-Encoding", h, hookBody)
}

func row218ContentTypes(t *testing.T) {
	r := newHookRow(t)
	for _, mediaType := range []string{"application/json", "application/json; charset=utf-8", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "x", ""} {
		h := hookSigned(hookBody)
		h["Content-Type"] = []string{mediaType}
		r.accepts(mediaType, h, hookBody)
		r.refuses(mediaType, h, hookBody+" ")
	}
	r.accepts("none", hookSigned(hookBody), hookBody)
}
