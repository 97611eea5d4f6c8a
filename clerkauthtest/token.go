package clerkauthtest

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Clerk's token categories, in the header member cat.
const (
	categorySession  = "cl_B7d4PD111AAA"
	categoryTemplate = "cl_B7d4PD222AAA"
	categoryM2M      = "cl_B7d4PD333AAA"
)

const (
	lifetime  = time.Minute      // of Clerk's session tokens
	allowance = 10 * time.Second // from nbf to iat
)

// draft is a token that is not signed yet.
type draft struct {
	template string // "": a session token
	version1 bool
	lifetime time.Duration
	key      *rsa.PrivateKey // nil: the instance's
	edits    []func(header, claims map[string]any)
}

// TokenOption makes a token differ from the one that Clerk would issue. Options apply in
// order.
type TokenOption func(*draft)

func edit(change func(header, claims map[string]any)) TokenOption {
	return func(d *draft) { d.edits = append(d.edits, change) }
}

// Version1 issues a token with the claims of Clerk's first version.
func Version1() TokenOption { return func(d *draft) { d.version1 = true } }

// ExpiresIn sets exp to the given time after iat. Defaults to a minute, as at Clerk.
func ExpiresIn(after time.Duration) TokenOption { return func(d *draft) { d.lifetime = after } }

// WithoutParty omits azp, as Clerk does in tokens that it issues in a top-level
// navigation, to native apps and through the Backend API.
func WithoutParty() TokenOption { return WithoutClaim("azp") }

// WithClaim sets a claim.
func WithClaim(name string, value any) TokenOption {
	return edit(func(_, claims map[string]any) { claims[name] = value })
}

// WithoutClaim omits a claim.
func WithoutClaim(name string) TokenOption {
	return edit(func(_, claims map[string]any) { delete(claims, name) })
}

// WithHeader sets a member of the header. The token is signed with RS256 in any case.
func WithHeader(name string, value any) TokenOption {
	return edit(func(header, _ map[string]any) { header[name] = value })
}

// WithoutHeader omits a member of the header.
func WithoutHeader(name string) TokenOption {
	return edit(func(header, _ map[string]any) { delete(header, name) })
}

// WithKeyID sets the kid of the header, and not the key that signs.
func WithKeyID(kid string) TokenOption { return WithHeader("kid", kid) }

// SignedBy sets the key that signs, and not the kid of the header.
func SignedBy(key *rsa.PrivateKey) TokenOption { return func(d *draft) { d.key = key } }

// Token issues a token of the session. It panics after SignOut and for a
// banned user, when Clerk issues none.
func (s *Session) Token(opts ...TokenOption) string {
	d := draft{lifetime: lifetime}
	for _, option := range opts {
		option(&d)
	}
	return s.mustMint(&d)
}

// CreateTemplate creates a JWT template, or replaces the one called name. Its tokens have
// claims in addition to the registered ones, and no sid.
func (s *Server) CreateTemplate(name string, claims map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.templates[name] = maps.Clone(claims)
}

// TemplateToken issues a token of the template called name, which need not exist, with
// claims in addition to the template's. It is signed with the same key as session tokens,
// but is not one, and must be rejected as one.
func (s *Session) TemplateToken(name string, claims map[string]any) string {
	if name == "" {
		panic("clerkauthtest: a template has a name")
	}
	d := draft{template: name, lifetime: lifetime}
	edit(func(_, all map[string]any) { maps.Copy(all, claims) })(&d)
	return s.mustMint(&d)
}

func (s *Session) mustMint(d *draft) string {
	token, ok := s.mint(d)
	if !ok {
		panic("clerkauthtest: there are no tokens of a session that has ended")
	}
	return token
}

// mint signs d. ok is false if the session has ended.
func (s *Session) mint(d *draft) (token string, ok bool) {
	header, claims, key := s.prepare(d)
	if key == nil {
		return "", false
	}
	return d.sign(key, header, claims), true
}

// sign applies the edits of d and signs the result, with key unless d has its own.
func (d *draft) sign(key *rsa.PrivateKey, header, claims map[string]any) string {
	for _, change := range d.edits {
		change(header, claims)
	}
	return sign(cmp.Or(d.key, key), header, claims)
}

// prepare returns what Clerk would sign, and the instance's key, or no key if the session
// has ended.
func (s *Session) prepare(d *draft) (header, claims map[string]any, key *rsa.PrivateKey) {
	now := s.srv.Now()
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	if s.ended != "" {
		return nil, nil, nil
	}
	claims = s.srv.registered(s.User.ID, now, d.lifetime)
	category := categorySession
	if d.template != "" {
		category = categoryTemplate
		maps.Copy(claims, s.srv.templates[d.template])
	} else {
		s.addClaims(claims, now)
		if d.version1 {
			s.addVersion1(claims)
		} else {
			s.addVersion2(claims)
		}
	}
	return s.srv.header(category), claims, s.srv.signing.private
}

// header returns the header of a token. The caller holds mu.
func (s *Server) header(category string) map[string]any {
	return map[string]any{"alg": string(jose.RS256), "typ": "JWT", "kid": s.signing.id, "cat": category}
}

// registered returns the claims that every token has.
func (s *Server) registered(subject string, now time.Time, lifetime time.Duration) map[string]any {
	return map[string]any{
		"iss": s.Issuer(),
		"sub": subject,
		"azp": s.origin,
		"iat": now.Unix(),
		"nbf": now.Add(-allowance).Unix(),
		"exp": now.Unix() + int64(lifetime/time.Second),
		"jti": randomText(),
	}
}

// addClaims adds the claims that both versions have. The caller holds mu.
func (s *Session) addClaims(claims map[string]any, now time.Time) {
	for name, value := range s.custom {
		claims[name] = value
	}
	claims["sid"] = s.ID
	claims["sts"] = s.status()
	claims["fva"] = s.agesAt(now)
	if s.actorID != "" {
		claims["act"] = map[string]any{"sub": s.actorID}
	}
}

func (s *Session) agesAt(now time.Time) []int {
	passed := int(max(now.Sub(s.signedInAt), 0) / time.Minute)
	ages := slices.Clone(s.ages[:])
	for i := range ages {
		if ages[i] >= 0 {
			ages[i] += passed
		}
	}
	return ages
}

// addVersion1 adds the organization's claims. The caller holds mu.
func (s *Session) addVersion1(claims map[string]any) {
	if s.Organization == nil {
		return
	}
	claims["org_id"] = s.Organization.ID
	claims["org_slug"] = s.Organization.Slug
	claims["org_role"] = s.role
	if permissions := s.allPermissions(); permissions != nil {
		claims["org_permissions"] = permissions
	}
}

// addVersion2 adds the organization's claims, features and plans. The caller
// holds mu.
func (s *Session) addVersion2(claims map[string]any) {
	claims["v"] = 2
	features, plans := unique(s.features), unique(s.plans)
	if s.Organization != nil {
		features = unique(features, s.Organization.features)
		plans = unique(plans, s.Organization.plans)
		org := map[string]any{
			"id":  s.Organization.ID,
			"slg": s.Organization.Slug,
			"rol": strings.TrimPrefix(s.role, "org:"),
		}
		if permissions := s.allPermissions(); permissions != nil {
			features, org["per"], org["fpm"] = compress(features, permissions)
		}
		claims["o"] = org
	}
	if len(features) > 0 {
		claims["fea"] = strings.Join(features, ",")
	}
	if len(plans) > 0 {
		claims["pla"] = strings.Join(plans, ",")
	}
}

// compress encodes permissions as Clerk does: per lists their names once each, and fpm
// has a decimal number for every feature of the organization, in the order of features,
// in which bit i stands for name i of per. Features without permissions have 0. Features
// that only permissions name are added to all.
func compress(features, permissions []string) (all []string, per, fpm string) {
	all = features
	var slugs, names []string // of the organization's features, and of permissions
	for _, f := range features {
		if scope, slug, _ := strings.Cut(f, ":"); strings.Contains(scope, "o") {
			slugs = append(slugs, slug)
		}
	}
	for _, p := range permissions {
		feature, name := splitPermission(p)
		if !slices.Contains(slugs, feature) {
			slugs = append(slugs, feature)
			all = append(all, "o:"+feature)
		}
		names = unique(names, []string{name})
	}
	masks := make([]string, len(slugs))
	for i, slug := range slugs {
		mask := new(big.Int) // there may be more names than bits in a word
		for j, name := range names {
			if slices.Contains(permissions, "org:"+slug+":"+name) {
				mask.SetBit(mask, j, 1)
			}
		}
		masks[i] = mask.String()
	}
	return all, strings.Join(names, ","), strings.Join(masks, ",")
}

// Sign signs claims under header with the key that signs tokens, with RS256 whatever the
// header says. It adds nothing to either.
func (s *Server) Sign(header, claims map[string]any) string { return sign(s.Key(), header, claims) }

// SignRaw is like Sign for a header and a payload that need not be JSON.
func (s *Server) SignRaw(header, payload []byte) string { return signRaw(s.Key(), header, payload) }

// sign signs with go-jose if the result is an ordinary JWS. go-jose implements b64 (RFC
// 7797) and requires the alg that it signs with; tokens with other headers, which tests
// need to show that they are rejected, are assembled by hand.
func sign(key *rsa.PrivateKey, header, claims map[string]any) string {
	payload := mustJSON(claims)
	if _, ok := header["b64"]; ok || header["alg"] != string(jose.RS256) {
		return signRaw(key, mustJSON(header), payload)
	}
	var opts jose.SignerOptions
	for name, value := range header {
		opts.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, &opts)
	if err != nil {
		panic("clerkauthtest: " + err.Error())
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic("clerkauthtest: " + err.Error())
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		panic("clerkauthtest: " + err.Error())
	}
	return token
}

func signRaw(key *rsa.PrivateKey, header, payload []byte) string {
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic("clerkauthtest: " + err.Error())
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func mustJSON(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic("clerkauthtest: " + err.Error())
	}
	return data
}
