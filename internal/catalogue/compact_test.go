package catalogue

import (
	"bufio"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// These rows test the compact form of tokens (RFC 7515 section 7.1). Wherever a
// token can be signed as it stands, it is.
var _ = addRows(rows{
	"30/dots_and_missing_parts":       compactDots,
	"31/too_many_parts":               compactFourParts,
	"32/empty_parts":                  compactEmptyParts,
	"33/million_dots":                 compactManyDots,
	"34/long_token":                   compactLong,
	"35/base64_padding":               compactPadding,
	"36/stray_trailing_bits":          compactStrayBits,
	"37/line_breaks_in_token":         compactLineBreaks,
	"38/standard_base64_alphabet":     compactStandardAlphabet,
	"39/space_and_controls_in_token":  compactSpace,
	"40/characters_outside_base64url": compactInvalidCharacters,
	"41/unicode_that_folds_to_ascii":  compactUnicode,
	"42/json_serialization":           compactJSON,
	"45/parts_of_two_tokens":          compactSwappedParts,
	"46/glued_tokens":                 compactGlued,
	"47/quoted_token":                 compactQuoted,
})

// compactDots: text without three parts is not a token of Clerk's, so it is a
// foreign credential; see the rows about credentials of other issuers.
func compactDots(t *testing.T) {
	r := newTokenRow(t)
	for _, token := range []string{"..", "a.b.c"} {
		r.refuses(token, token, clerkauth.ErrTokenInvalid)
	}
	for _, token := range []string{".", "...", "a", "a.b", "....."} {
		r.ignores(token, token, clerkauth.ErrTokenInvalid)
	}
	r.each(func(v tokenVerifier) {
		if _, err := v.auth.VerifyToken(t.Context(), ""); !errors.Is(err, clerkauth.ErrTokenMissing) {
			t.Errorf("nothing: %v", err)
		}
	})
	r.fetched(0)
	r.accepts("control", r.token())
}

func compactFourParts(t *testing.T) {
	r := newTokenRow(t)
	good := r.token()
	encrypter, err := jose.NewEncrypter(jose.A256CBC_HS512, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: &r.srv.Key().PublicKey, KeyID: r.srv.KeyID()},
		(&jose.EncrypterOptions{}).WithType("JWT").WithContentType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := encrypter.Encrypt([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	input := good[:strings.LastIndexByte(good, '.')]
	r.ignoresAll(map[string]string{
		"dot behind": good + ".", "dot before": "." + good, "fourth part": good + ".x", "fourth part before": "x." + good, "two dots behind": good + "..",
		"encrypted": encrypted, "dot in the payload, signed": r.signed(input[:len(input)-4] + "." + input[len(input)-4:]),
	}, clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.accepts("control", good)
}

func compactEmptyParts(t *testing.T) {
	r := newTokenRow(t)
	h, p, s := compactParts(r.token())
	r.refusesAll(map[string]string{
		"no payload": h + ".." + s, "no header": "." + p + "." + s, "no signature": h + "." + p + ".",
		"no payload, signed": r.signed(h + "."), "no header, signed": r.signed("." + p), "neither, signed": r.signed("."),
	}, clerkauth.ErrTokenInvalid)
	r.ignores("no signature nor dot", h+"."+p, clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.accepts("control", h+"."+p+"."+s)
}

func compactManyDots(t *testing.T) {
	r := newTokenRow(t)
	dots := strings.Repeat(".", 1_000_000)
	r.refuses("dots", dots, clerkauth.ErrTokenInvalid)
	r.fetched(0)
	for what, token := range map[string]string{"dots": dots, "dots that are not too long to look at": dots[:16<<10]} {
		verify := func() {
			if _, err := r.cold.auth.VerifyToken(t.Context(), token); !errors.Is(err, clerkauth.ErrTokenInvalid) {
				t.Error(err)
			}
		}
		if n := testing.AllocsPerRun(100, verify); n >= 2 {
			t.Errorf("%s: %v allocations", what, n)
		}
		if n := tokenAllocated(verify); n >= 4<<10 {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
	}
	r.accepts("control", r.token())
}

// compactLong: tokens are limited to 16 KiB, whichever way they arrive.
func compactLong(t *testing.T) {
	r := newTokenRow(t)
	const most = 16 << 10
	for _, n := range []int{most + 1, most + 2, 1 << 20} {
		r.refuses("too long", compactOfLength(t, r, n), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	for _, n := range []int{8<<10 + 1, most} {
		r.accepts("as long as may be", compactOfLength(t, r, n))
	}
}

// compactOfLength returns a valid token of that length.
func compactOfLength(t *testing.T, r tokenRow, n int) string {
	t.Helper()
	for _, header := range []string{"", `,"x":1`, `,"x":12`} { // for base64 has no piece of one letter
		start := base64.RawURLEncoding.EncodedLen(len(r.header(header))) + 2 + base64.RawURLEncoding.EncodedLen(r.srv.Key().Size())
		plain := len(tokenPart(r.token(clerkauthtest.WithClaim("pad", "")), 1))
		pad := base64.RawURLEncoding.DecodedLen(n-start) - plain
		payload := tokenPart(r.token(clerkauthtest.WithClaim("pad", strings.Repeat("x", pad))), 1)
		if token := r.srv.SignRaw(r.header(header), payload); len(token) == n {
			return token
		}
	}
	t.Fatalf("there is no token of %d bytes", n)
	return ""
}

func compactPadding(t *testing.T) {
	r := newTokenRow(t)
	good := r.token()
	h, p, s := compactParts(good)
	r.refusesAll(map[string]string{
		"signature padded": good + "==", "signature padded once": good + "=", "signature padded thrice": good + "===",
		"header padded": h + "=." + p + "." + s, "payload padded": h + "." + p + "=." + s, "signature alone": h + "." + p + ".==",
	}, clerkauth.ErrTokenInvalid)
	for _, pad := range []string{"", "x", "xx"} { // one of them fills its last group
		header, payload := r.header(`,"pad":"`+pad+`"`), tokenPart(r.token(clerkauthtest.WithClaim("pad", pad)), 1)
		for what, text := range map[string]string{
			"header":  base64.URLEncoding.EncodeToString(header) + "." + tokenBase64(payload),
			"payload": tokenBase64(header) + "." + base64.URLEncoding.EncodeToString(payload),
		} {
			if strings.Contains(text, "=") {
				r.refuses(what+" padded as it should be, signed", r.signed(text), clerkauth.ErrTokenInvalid)
			}
		}
	}
	r.fetched(0)
	r.accepts("control", good)
}

func compactStrayBits(t *testing.T) {
	r := newTokenRow(t)
	bump := func(part string) string {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		return part[:len(part)-1] + string(alphabet[strings.IndexByte(alphabet, part[len(part)-1])+1])
	}
	h, p, s := compactParts(r.token())
	r.refuses("signature", h+"."+p+"."+bump(s), clerkauth.ErrTokenInvalid)
	tested := 0
	for _, pad := range []string{"", "x", "xx"} {
		h, p, _ := compactParts(r.srv.SignRaw(r.header(`,"pad":"`+pad+`"`), tokenPart(r.token(clerkauthtest.WithClaim("pad", pad)), 1)))
		if len(h)%4 != 0 {
			r.refuses("header, signed", r.signed(bump(h)+"."+p), clerkauth.ErrTokenInvalid)
			tested++
		}
		if len(p)%4 != 0 {
			r.refuses("payload, signed", r.signed(h+"."+bump(p)), clerkauth.ErrTokenInvalid)
			tested++
		}
	}
	if tested != 4 {
		t.Errorf("%d of the signed tokens have bits to spare, want 4", tested)
	}
	r.fetched(0)
	r.accepts("control", r.signed(h+"."+p))
}

// compactInserted inserts text into every part of a token and between and around
// them, both into a signed token and before signing.
func compactInserted(r tokenRow, text string) map[string]string {
	h, p, s := compactParts(r.token())
	tokens := map[string]string{"before": text + h + "." + p + "." + s, "behind": h + "." + p + "." + s + text}
	for what, input := range map[string]string{
		"in the header": h[:4] + text + h[4:] + "." + p, "behind the header": h + text + "." + p, "in the payload": h + "." + p[:4] + text + p[4:],
		"before the payload": h + "." + text + p, "behind the payload": h + "." + p + text,
	} {
		tokens[what] = input + "." + s
		tokens[what+", signed"] = r.signed(input)
	}
	tokens["in the signature"] = h + "." + p + "." + s[:4] + text + s[4:]
	tokens["before the signature"] = h + "." + p + "." + text + s
	return tokens
}

func compactLineBreaks(t *testing.T) {
	r := newTokenRow(t)
	for _, text := range []string{"\n", "\r", "\r\n"} {
		r.refusesAll(compactInserted(r, text), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.token())
}

func compactStandardAlphabet(t *testing.T) {
	r := newTokenRow(t)
	standard := strings.NewReplacer("-", "+", "_", "/")
	header, payload := r.header(`,"x":"~~~???>>>"`), tokenPart(r.token(clerkauthtest.WithClaim("x", "~~~???")), 1)
	url64, std64 := base64.RawURLEncoding, base64.RawStdEncoding
	for what, text := range map[string]string{
		"header": std64.EncodeToString(header) + "." + url64.EncodeToString(payload), "payload": url64.EncodeToString(header) + "." + std64.EncodeToString(payload),
	} {
		if !strings.ContainsAny(text, "+/") {
			t.Errorf("%s is the same in both alphabets", what)
		}
		r.refuses(what+", signed", r.signed(text), clerkauth.ErrTokenInvalid)
	}
	good := r.token()
	h, p, s := compactParts(good)
	for !strings.ContainsAny(s, "-_") {
		good = r.token()
		h, p, s = compactParts(good)
	}
	r.refusesAll(map[string]string{
		"signature":   h + "." + p + "." + standard.Replace(s),
		"%2D and %5F": h + "." + p + "." + strings.NewReplacer("-", "%2D", "_", "%5F").Replace(s),
		"%2B":         h + "." + p + "." + url.QueryEscape(standard.Replace(s)), "first letter escaped": "%65" + good[1:],
	}, clerkauth.ErrTokenInvalid)
	r.ignores("%2E", strings.ReplaceAll(good, ".", "%2E"), clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.accepts("control", good)
	r.accepts("control of the header", r.srv.SignRaw(header, payload))
}

// compactSpace: net/http trims a header's value before a token is read; nothing else
// is trimmed.
func compactSpace(t *testing.T) {
	r := newTokenRow(t)
	for _, text := range []string{" ", "\t", "\x00", "\x7f", "\u00a0", "\u200b", "\ufeff", "  "} {
		r.refusesAll(compactInserted(r, text), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	good := r.token()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\nAuthorization:  Bearer " + good + " \t \r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if state := r.static.auth.Authenticate(req); state.Err() != nil {
		t.Errorf("space around the header's value: %v", state.Err())
	}
	r.accepts("control", good)
}

// compactInvalidCharacters: some test vectors call tokens with ? in a part valid;
// RFC 7515 section 5.2 does not.
func compactInvalidCharacters(t *testing.T) {
	r := newTokenRow(t)
	for _, text := range []string{"?", "#", "!", "*", "@", ",", ";", ":", "=", "~", "%", "?9", "#9"} {
		r.refusesAll(compactInserted(r, text), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.token())
}

func compactUnicode(t *testing.T) {
	r := newTokenRow(t)
	h, p, s := compactParts(r.token(clerkauthtest.WithClaim("x", "kS123 kS123")))
	for from, to := range map[string]string{"e": "ｅ", "y": "ｙ", "J": "Ｊ", "1": "１", "0": "٠", "K": "\u212a", "s": "ſ", "i": "ı",
		"-": "‐", ".": "．"} {
		replaced := strings.NewReplacer(from, to).Replace
		for what, token := range map[string]string{
			"header": r.signed(replaced(h) + "." + p), "payload": r.signed(h + "." + replaced(p)), "signature": h + "." + p + "." + replaced(s),
			"token": replaced(h + "." + p + "." + s),
		} {
			if strings.Contains(token, to) {
				r.refuses(to+" in the "+what, token, clerkauth.ErrTokenInvalid)
			}
		}
	}
	r.refuses("full-width", "ｅ"+h[1:]+"."+p+"."+s, clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.accepts("control", r.signed(h+"."+p))
}

func compactJSON(t *testing.T) {
	r := newTokenRow(t)
	h, p, s := compactParts(r.token())
	signature := `"protected":"` + h + `","signature":"` + s + `"`
	r.refusesAll(map[string]string{
		"general":   `{"payload":"` + p + `","signatures":[{` + signature + `}]}`,
		"flattened": `{"payload":"` + p + `",` + signature + `}`,
		"string":    `"` + h + "." + p + "." + s + `"`,
	}, clerkauth.ErrTokenInvalid)
	r.ignores("encoded", tokenBase64([]byte(`{"payload":"`+p+`",`+signature+`}`)), clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.accepts("control", h+"."+p+"."+s)
}

// compactSwappedParts combines parts of the tokens of two users.
func compactSwappedParts(t *testing.T) {
	r := newTokenRow(t)
	other := r.srv.SignIn(r.srv.CreateUser("joe@example.com"))
	h, p, s := compactParts(r.token(clerkauthtest.WithHeader("x", 1)))
	h2, p2, s2 := compactParts(other.Token())
	r.refusesAll(map[string]string{
		"payload of another": h + "." + p2 + "." + s, "header of another": h2 + "." + p + "." + s, "signature of another": h + "." + p + "." + s2,
		"header encoded anew":  tokenBase64([]byte(strings.Replace(string(r.header("")), ":", ": ", 1))) + "." + p + "." + s,
		"payload encoded anew": h + "." + tokenBase64(append(tokenPart("."+p, 1), ' ')) + "." + s,
		"both encoded anew":    tokenBase64(append(tokenPart(h, 0), ' ')) + "." + tokenBase64(append(tokenPart("."+p, 1), ' ')) + "." + s,
		"signed by another":    r.token(clerkauthtest.SignedBy(tokenAttacker())),
	}, clerkauth.ErrTokenSignature)
	r.accepts("control", h+"."+p+"."+s)
	if who := r.accepts("control of another", h2+"."+p2+"."+s2); who.UserID != other.User.ID {
		t.Errorf("it is %s who is signed in", who.UserID)
	}
}

func compactGlued(t *testing.T) {
	r := newTokenRow(t)
	one, other := r.token(), r.token()
	for _, glue := range []string{",", ", ", " ", "; ", "\x00", " Bearer ", ", Bearer "} {
		r.refuses("glued by "+glue, one+glue+other, clerkauth.ErrTokenInvalid)
	}
	for _, glue := range []string{";", "&", "|", "", "."} {
		r.ignores("glued by "+glue, one+glue+other, clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	for what, line := range map[string]string{
		"a token and a second scheme": "Bearer " + one + ", Basic eDp5", "a second scheme and a token": "Bearer eDp5, Bearer " + one,
		"two keys of machines": "Bearer ak_1,ak_2",
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Authorization", line)
		r.each(func(v tokenVerifier) {
			if err := v.auth.Authenticate(req).Err(); !errors.Is(err, clerkauth.ErrTokenInvalid) {
				t.Errorf("%s: %s: %v", v.by, what, err)
			}
		})
	}
	r.accepts("control", one)
}

func compactQuoted(t *testing.T) {
	r := newTokenRow(t)
	good := r.token()
	for _, quotes := range []string{`""`, "''", "<>", "``", "[]", "()", "{}"} {
		r.refuses("in "+quotes, quotes[:1]+good+quotes[1:], clerkauth.ErrTokenInvalid)
		r.refuses("behind "+quotes, quotes[:1]+good, clerkauth.ErrTokenInvalid)
		r.refuses("before "+quotes, good+quotes[1:], clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", good)
}

// compactParts splits a token into its parts.
func compactParts(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}
