package main

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"time"

	"github.com/clerkauth/clerkauth"
)

// hasCase is a call of has() for a session with these claims.
type hasCase struct {
	ID      string                     `json:"id"`
	Claims  json.RawMessage            `json:"claims"`
	Params  map[string]json.RawMessage `json:"params"`
	Pending *bool                      `json:"treatPendingAsSignedOut"`
}

// hasDecision is our decision for a hasCase.
type hasDecision struct {
	File  string `json:"file"`
	ID    string `json:"id"`
	Allow bool   `json:"allow"`

	query *hasCase
	now   int64
}

// openHas returns the function that decides the cases of has.json. It signs a session
// token with each case's claims, because Has needs a verified identity.
func openHas(p product, f corpusFile) func(json.RawMessage) (decision, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return func(json.RawMessage) (decision, error) { return nil, err }
	}
	known := map[string]clerkauth.Auth{} // many cases have the same session
	return func(raw json.RawMessage) (decision, error) {
		var c hasCase
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		allowPending := c.Pending != nil && !*c.Pending
		session := fmt.Sprint(allowPending, string(c.Claims))
		who, ok := known[session]
		if !ok {
			who, err = signIn(p, key, c.Claims, allowPending, f.Meta.Now)
			if err != nil {
				return nil, err
			}
			known[session] = who
		}
		requirements, ok := requirementsOf(c.Params)
		return hasDecision{f.Name, c.ID, ok && p.has(who, requirements), &c, f.Meta.Now}, nil
	}
}

// signIn returns the identity in a token with these claims, or the zero Auth if the
// token is rejected.
func signIn(p product, key *rsa.PrivateKey, claims json.RawMessage, allowPending bool, now int64) (clerkauth.Auth, error) {
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return clerkauth.Auth{}, err
	}
	var issuer struct {
		Iss string `json:"iss"`
	}
	if err := json.Unmarshal(claims, &issuer); err != nil {
		return clerkauth.Auth{}, err
	}
	auth, err := p.newAuth(clerkauth.Config{
		Issuers:          []string{cmp.Or(issuer.Iss, "https://issuer.test")},
		JWTKey:           string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		InsecureAnyParty: true,
		AllowPending:     allowPending,
		Now:              func() time.Time { return time.UnixMilli(now) },
	})
	if err != nil {
		return clerkauth.Auth{}, err
	}
	token, err := sign(key, []byte(`{"alg":"RS256","typ":"JWT"}`), claims)
	if err != nil {
		return clerkauth.Auth{}, err
	}
	who, _ := p.verify(auth, token) // on an error it is the zero Auth
	return who, nil
}

func sign(key *rsa.PrivateKey, header, payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString(header) + "." + enc.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	return signed + "." + enc.EncodeToString(signature), err
}

// requirementsOf translates the parameters of the SDK's has(). A parameter of a wrong
// type cannot be written in Go; it counts as not met.
func requirementsOf(params map[string]json.RawMessage) ([]clerkauth.Access, bool) {
	named := map[string]func(string) clerkauth.Access{
		"role":       clerkauth.Role,
		"permission": clerkauth.Permission,
		"feature":    clerkauth.Feature,
		"plan":       clerkauth.Plan,
	}
	var requirements []clerkauth.Access
	for name, value := range params {
		if name == "reverification" {
			d, ok := reverification(value)
			if !ok {
				return nil, false
			}
			requirements = append(requirements, d)
			continue
		}
		requirement, known := named[name]
		if !known {
			continue // has() ignores it, too
		}
		var s *string
		if json.Unmarshal(value, &s) != nil || s == nil {
			return nil, false
		}
		requirements = append(requirements, requirement(*s))
	}
	return requirements, true
}

func reverification(value json.RawMessage) (clerkauth.Access, bool) {
	var preset string
	if json.Unmarshal(value, &preset) == nil {
		switch preset {
		case "strict_mfa":
			return clerkauth.ReverifiedStrictMFA, true
		case "strict":
			return clerkauth.ReverifiedStrict, true
		case "moderate":
			return clerkauth.ReverifiedModerate, true
		case "lax":
			return clerkauth.ReverifiedLax, true
		}
		return nil, false
	}
	var custom *struct {
		Level        clerkauth.ReverificationLevel `json:"level"`
		AfterMinutes *float64                      `json:"afterMinutes"`
	}
	if json.Unmarshal(value, &custom) != nil || custom == nil || custom.AfterMinutes == nil {
		return nil, false
	}
	age := time.Duration(min(*custom.AfterMinutes*float64(time.Minute), math.MaxInt64/2))
	return clerkauth.Reverified(custom.Level, age), true
}

// compare compares the decision with the SDK's: if has() throws, it denies.
func (d hasDecision) compare(expect json.RawMessage) (verdict, error) {
	allow := string(expect) == "true"
	v := verdict{grants: allow, asWell: allow && d.Allow}
	switch {
	case d.Allow == allow:
		v.class = agree
	case d.Allow:
		v.class, v.detail = laxer, "sdk false, ours true"
	default:
		v.class, v.rule, v.detail = stricter, d.rule(), "sdk true, ours false"
		if v.rule == "" {
			v.class = unexplained
		}
	}
	return v, nil
}
