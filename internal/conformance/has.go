package main

import (
	"cmp"
	"context"
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
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// hasCase asks whether somebody with these claims has something.
type hasCase struct {
	ID      string                     `json:"id"`
	Claims  json.RawMessage            `json:"claims"`
	Params  map[string]json.RawMessage `json:"params"`
	Pending *bool                      `json:"treatPendingAsSignedOut"`
}

// hasDecision is our answer to a hasCase.
type hasDecision struct {
	File  string `json:"file"`
	ID    string `json:"id"`
	Allow bool   `json:"allow"`

	asked *hasCase
	now   int64
}

// openHas returns the judge of has.json. Each case's claims are put into a
// session token, which a key pair of our own signs: what Has answers from is
// what has been verified.
func openHas(f corpusFile) func(json.RawMessage) (decision, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return func(json.RawMessage) (decision, error) { return nil, err }
	}
	known := map[string]clerkauth.Auth{} // many cases ask about one session
	return func(raw json.RawMessage) (decision, error) {
		var c hasCase
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		allowPending := c.Pending != nil && !*c.Pending
		session := fmt.Sprint(allowPending, string(c.Claims))
		who, ok := known[session]
		if !ok {
			who, err = signIn(key, c.Claims, allowPending, f.Meta.Now)
			if err != nil {
				return nil, err
			}
			known[session] = who
		}
		demands, ok := demandsOf(c.Params)
		return hasDecision{f.Name, c.ID, ok && who.Has(demands...), &c, f.Meta.Now}, nil
	}
}

// signIn returns the identity in a token with these claims: nobody's, if the
// token is not accepted.
func signIn(key *rsa.PrivateKey, claims json.RawMessage, allowPending bool, now int64) (clerkauth.Auth, error) {
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
	auth, err := clerkauth.New(clerkauth.Config{
		Issuers:      []string{cmp.Or(issuer.Iss, "https://issuer.test")},
		JWTKey:       string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		AnyParty:     true,
		AllowPending: allowPending,
		Now:          func() time.Time { return time.UnixMilli(now) },
	})
	if err != nil {
		return clerkauth.Auth{}, err
	}
	token, err := sign(key, []byte(`{"alg":"RS256","typ":"JWT"}`), claims)
	if err != nil {
		return clerkauth.Auth{}, err
	}
	who, _ := auth.VerifyToken(context.Background(), token) // on an error it is the zero Auth
	return who, nil
}

func sign(key *rsa.PrivateKey, header, payload []byte) (string, error) {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString(header) + "." + enc.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	return signed + "." + enc.EncodeToString(signature), err
}

// demandsOf translates the parameters of the SDK's has(). A parameter of a wrong
// type cannot be written in Go; it counts as not met.
func demandsOf(params map[string]json.RawMessage) ([]clerkauth.Access, bool) {
	named := map[string]func(string) clerkauth.Access{
		"role":       clerkauth.Role,
		"permission": clerkauth.Permission,
		"feature":    clerkauth.Feature,
		"plan":       clerkauth.Plan,
	}
	var demands []clerkauth.Access
	for name, value := range params {
		if name == "reverification" {
			d, ok := reverification(value)
			if !ok {
				return nil, false
			}
			demands = append(demands, d)
			continue
		}
		demand, known := named[name]
		if !known {
			continue // has() does not look at it either
		}
		var s *string
		if json.Unmarshal(value, &s) != nil || s == nil {
			return nil, false
		}
		demands = append(demands, demand(*s))
	}
	return demands, true
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
	var asked *struct {
		Level        clerkauth.ReverificationLevel `json:"level"`
		AfterMinutes *float64                      `json:"afterMinutes"`
	}
	if json.Unmarshal(value, &asked) != nil || asked == nil || asked.AfterMinutes == nil {
		return nil, false
	}
	age := time.Duration(min(*asked.AfterMinutes*float64(time.Minute), math.MaxInt64/2))
	return clerkauth.Reverified(asked.Level, age), true
}

// compare judges an answer of has(): throwing is a way to say no, and saying no
// is never too much.
func (d hasDecision) compare(expect json.RawMessage) (verdict, error) {
	allow := string(expect) == "true"
	switch {
	case d.Allow == allow:
		return verdict{class: agree}, nil
	case allow:
		return verdict{class: stricter, rule: d.rule()}, nil
	default:
		return verdict{class: laxer, detail: "sdk false, ours true"}, nil
	}
}

// rule names the property for which we say no and the SDK does not.
func (d hasDecision) rule() string {
	var claims struct {
		IAT    float64         `json:"iat"`
		Ages   []float64       `json:"fva"`
		V      any             `json:"v"`
		Status json.RawMessage `json:"sts"`
		Org    any             `json:"o"`
	}
	_ = json.Unmarshal(d.asked.Claims, &claims) // what does not fit stays zero
	passed := float64(d.now)/60_000 - claims.IAT/60
	limits := map[string]float64{"strict_mfa": 10, "strict": 10, "moderate": 60, "lax": 1440}
	var preset string
	var custom struct {
		AfterMinutes float64 `json:"afterMinutes"`
	}
	asked := d.asked.Params["reverification"]
	limit := 0.0
	if json.Unmarshal(asked, &preset) == nil {
		limit = limits[preset]
	} else if json.Unmarshal(asked, &custom) == nil {
		limit = custom.AfterMinutes
	}
	for _, age := range claims.Ages {
		if age < limit && age+passed >= limit {
			return "fva-ageing" // the ages are those of the moment the token was minted
		}
	}
	for _, name := range []string{"role", "permission", "feature", "plan"} {
		value, ok := d.asked.Params[name]
		var s string
		if ok && json.Unmarshal(value, &s) == nil && (s == "" || s == "org:" || strings.Count(s, ":") > 1) {
			return "whole-names" // a slug is compared as a whole, and nobody has what has no name
		}
	}
	if status := string(claims.Status); status != "" && status != `"active"` && status != `"pending"` {
		return "unknown-status"
	}
	if claims.V != nil && claims.V != 1.0 && claims.V != 2.0 {
		return "known-version"
	}
	if org, _ := claims.Org.(map[string]any); claims.V == 2.0 && !isID(org["id"]) && d.asksOfPlans() {
		return "organization-needed" // what an organization has is nobody's without it
	}
	return ""
}

// asksOfPlans tells whether a feature or plan is asked for.
func (d hasDecision) asksOfPlans() bool {
	return d.asked.Params["feature"] != nil || d.asked.Params["plan"] != nil
}
