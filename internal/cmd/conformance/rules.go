package main

import (
	"slices"

	"github.com/clerkauth/clerkauth"
)

// effect says what a rule may excuse.
type effect int

const (
	effectReason       effect = 1 << iota // both refuse, for different reasons
	effectLess                            // we refuse or redirect where the SDK does more
	effectMore                            // we give more than the SDK
	effectOrganization                    // both let the caller in, we with less of an organization
	effectScopes                          // … with fewer scopes
	effectClient                          // … without the client's id
	effectClaims                          // … without the claims themselves

	renames    = effectReason
	refuses    = effectLess | effectReason // the SDK may refuse for another reason later
	grantsMore = effectMore
	reads      = effectMore | effectReason // we read what the SDK ignores
)

// letIn is, among reasons, the decision to let the caller in.
const letIn clerkauth.Reason = outcomeIn

// rule is an intended difference between our decisions and the SDK's.
type rule struct {
	name    string
	why     string
	effects effect
	// answers returns the decisions that we may make, reasons of refusals or letIn, for a
	// case that has the rule's property, where the SDK decides otherwise. For other cases
	// it returns none. It reads only the inputs, so that no rule excuses a library that
	// decides wrongly.
	answers func(*reading) []clerkauth.Reason
}

// when returns the answers function of a rule whose answers are the same for every case
// with its property.
func when(property func(*reading) bool, answers ...clerkauth.Reason) func(*reading) []clerkauth.Reason {
	return func(r *reading) []clerkauth.Reason {
		if !property(r) {
			return nil
		}
		return answers
	}
}

// rules are tried in this order; the first that holds is named.
var rules = []rule{
	// Configuration.
	{"typed-options", "an option of another type, or that Config does not have, is rejected", refuses, when(unsupportedOption, reasonConfiguration)},
	{"exact-origins", "New rejects an authorized party that no azp can equal", refuses, when(inexactOrigin, reasonConfiguration)},
	{"skew-range", "New rejects a negative skew and one over five minutes", refuses, when(skewOutOfRange, reasonConfiguration)},
	{"key-forms", "JWTKey is an RSA key in any usual form; New rejects others", refuses, when(keyUnreadable, reasonConfiguration)},
	{"instance-named", "a valid publishable key or issuers must name the instance", refuses, when(noInstance, reasonConfiguration)},
	{"config-at-start", "New requires keys of one instance, issuers that are URLs and audiences that are not empty", refuses, when(refusedAtStart, reasonConfiguration)},
	{"proxy-url", "a proxy of the Frontend API is reached by https at a plain path", refuses, when(refusedProxy, reasonConfiguration)},
	{"sync-patterns", "patterns of organizations are in the grammar of rules", refuses, when(refusedPattern, reasonConfiguration)},
	{"jwt-key-forms", "JWTKey may have any accepted RSA size, be PKCS #1, or have escaped line breaks", reads, keyReadableByUs},
	{"no-secret-needed", "verifying JWTs needs no secret key, and verifying machine-to-machine tokens only the machine's", grantsMore, when(withoutSecret, letIn)},

	// Presentation of the credential.
	{"strict-http", "net/http rejects malformed requests", refuses, when(badRequest, reasonRequest)},
	{"one-authorization", "several Authorization lines are rejected", refuses, whenInvalid(twoLines)},
	{"bearer-case", "the scheme is case-insensitive (RFC 9110 section 11.1)", reads | effectLess, bearerCase},
	{"scheme-required", "a single word is a malformed credential, whether it is a scheme or a token", refuses, whenInvalid(schemeless)},
	{"one-space", "one space follows the scheme, and nothing follows the token", refuses, whenInvalid(moreThanOneToken)},
	{"missing-token", "without a credential the token is missing, whatever kinds are accepted", renames, when(missingToken, clerkauth.ErrTokenMissing)},
	{"opaque-kind", "an opaque machine token has the wrong kind, and is not malformed", renames, when(opaqueKind, clerkauth.ErrTokenType)},

	{"opaque-form", "an opaque credential is a prefix and 1 to 512 of A-Z a-z 0-9 _ -; others are not sent to Clerk", refuses, whenInvalid(malformedOpaque)},
	{"kind-by-claims", "a JWT with a machine's category, subject or type is a machine's, whatever else it lacks", renames, when(otherKind, clerkauth.ErrTokenType, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenClaims)},
	{"api-key-jwt", "a JWT with an API key's id is not a session", refuses, when(apiKeyJWT, clerkauth.ErrTokenType)},

	// Encoding of the token.
	{"strict-base64", "padding is rejected: it would give one token two encodings", refuses, malformed(padded)},
	{"token-size", "a token is at most 16 KiB", refuses, malformed(oversized)},
	{"json-object", "header and payload are JSON objects", refuses, malformed(notObjects)},
	{"strict-utf8", "JSON is valid UTF-8 without a byte order mark or lone surrogates", refuses, malformed(badText)},
	{"unique-names", "no object has two members of one name", refuses, malformed(duplicateNames)},
	{"json-depth", "JSON is nested at most 64 deep", refuses, malformed(deep)},
	{"crit-refused", "critical extensions are rejected, because none is supported", refuses, malformed(hasMember("crit", "b64", "zip", "enc"))},
	{"no-embedded-keys", "a key is never taken from a token", refuses, malformed(hasMember("jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"))},
	{"empty-signature", "a token without a signature is malformed", renames, malformed(unsigned)},

	// Keys.
	{"form-before-keys", "typ, alg and kid are checked before keys are fetched", renames, formBeforeKeys},
	{"rs256-only", "RS256 is the only algorithm", refuses, when(otherRSA, clerkauth.ErrTokenAlgorithm)},
	{"kid-prototype", "a key id is looked up only among key ids", renames, when(prototypeID, clerkauth.ErrUnknownKey)},
	{"jwk-usable", "a published key verifies only if it is RSA for RS256 signatures of 2048 to 8192 bits, with an id of its own", refuses, when(unusableKey, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable)},
	{"jwks-status", "keys come with status 200", refuses, when(otherStatus, clerkauth.ErrKeysUnavailable)},
	{"stale-keys", "known keys are used for up to an hour of an outage", grantsMore, when(staleKeys, letIn)},
	{"withdrawn-keys", "a key that is no longer published is not used", refuses, when(withdrawnKey, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable)},
	{"fetch-limit", "unknown key ids and failures do not cause a fetch each", refuses, when(fetchLimited, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable)},
	{"outage-reason", "unavailable keys are one reason, whatever the cause", renames, when(outage, clerkauth.ErrKeysUnavailable)},

	// Kind of a machine's JWT.
	{"oauth-category", "an OAuth token does not have the category of another kind", refuses, when(categorised, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenType)},

	// Claims.
	{"foreign-bearer", "the issuer of a session token is checked before a key is looked up", renames, when(foreignBearer, clerkauth.ErrTokenIssuer)},
	{"subject-required", "the sub of a session is an id of visible ASCII", refuses, badClaim(clerkauth.ErrTokenClaims, noSubject)},
	{"audience-enforced", "a configured audience is required, in the form of RFC 7519", refuses, badClaim(clerkauth.ErrTokenClaims, noAudience)},
	{"party-exact", "a party is compared exactly", refuses, badClaim(clerkauth.ErrTokenParty, partOfParty)},
	{"issuer-enforced", "iss is the instance's", refuses, badClaim(clerkauth.ErrTokenIssuer, foreignIssuer)},
	{"claim-range", "times are from 1970 to 9999, and none is after the expiry", refuses, badClaim(clerkauth.ErrTokenClaims, timesOutOfRange)},
	{"session-id-required", "a session has an id, which begins with sess_", refuses, badClaim(clerkauth.ErrTokenClaims, noSessionID)},
	{"unknown-status", "a session is active or pending; other values of sts are unknown", refuses, badClaim(clerkauth.ErrTokenClaims, unknownStatus)},
	{"cnf-refused", "a token bound to a key needs a proof of possession (RFC 8705 section 3, RFC 9449 section 6)", refuses, badClaim(clerkauth.ErrTokenClaims, confirmed)},

	{"token-id-required", "a machine's JWT has an id", refuses, claimOfMachine(noTokenID)},
	{"scope-types", "scopes are a string or a list of strings", refuses, claimOfMachine(malformedScopes)},
	{"machine-subject", "the subject of a machine-to-machine token is a machine, of an OAuth token a user, of an API key a user or an organization", refuses, when(foreignSubject, clerkauth.ErrTokenClaims)},
	{"precise-reason", "a machine's JWT is refused for the reasons for which a session's is", renames, preciseReason},

	// Clerk's response about an opaque credential.
	{"answer-form", "a response is a JSON object of unique names and Clerk's types that has revoked and expired", refuses, told(noAnswer, clerkauth.ErrBackendUnavailable)},
	{"answer-object", "a response has the object type of the credential's kind", refuses, told(otherObject, clerkauth.ErrTokenInvalid)},
	{"answer-ids", "a credential has an id and a subject", refuses, told(lacksIDs, clerkauth.ErrTokenInvalid)},
	{"answer-flags", "a revoked or expired credential is rejected, whatever the status", refuses, told(noLongerGood, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenExpired)},
	{"answer-cnf", "a credential bound to a key needs a proof of possession, whichever member says so", refuses, told(bound, clerkauth.ErrTokenClaims)},
	{"answer-status", "401 is about our key whatever its body, and 404 about the credential only with Clerk's error", renames, otherMeaning},
	{"json-charset", "a content type with a parameter may be JSON", grantsMore, when(charset, letIn)},

	// Grants.
	{"known-version", "organization claims of an unknown version are ignored", effectOrganization, when(unknownVersion, letIn)},
	{"claim-types", "an organization without an id, or a claim of another type than Clerk's, grants nothing", effectOrganization, when(malformedOrganization, letIn)},
	{"scope-words", "an empty word between spaces is not a scope", effectScopes, when(emptyScopes, letIn)},
	{"client-id", "a client id is visible ASCII", effectClient, when(malformedClient, letIn)},
	{"decodable-claims", "claims that encoding/json would confuse, or cannot represent, are not returned", effectClaims, when(undecodable, letIn)},
}

// ruleFor returns the name of the rule by which our decision may differ from the SDK's,
// or "" if there is none, and what it excuses. If we let the caller in, several rules may
// make us grant less: the name is that of the first.
func ruleFor(r *reading, a *answer) (name string, excuses effect) {
	session := r
	if ours := a.Reason != reasonConfiguration && a.Reason != reasonRequest && a.Reason != reasonPanic; ours && r.browses() {
		by, d, explained := browserRule(r, a)
		name, excuses = by.name, by.effects
		switch {
		case explained && a.Outcome != outcomeIn:
			return name, excuses
		case explained:
			session = d.session
		}
	}
	got := letIn
	switch a.Outcome {
	case outcomeRedirect:
		return "", 0
	case outcomeRefuse:
		got = clerkauth.Reason(a.Reason)
		if a.Reason == reasonPanic || r.flow == flowThrows || r.sdkCrashes() {
			return "", 0 // the SDK refuses as well, and gives no reason
		}
		if reason, of := r.sdkRefuses(); reason != "" && got == reason && a.TokenType == nullable(of) {
			return "", 0
		}
	}
	for _, rule := range rules {
		if !slices.Contains(rule.answers(session), got) {
			continue
		}
		if name == "" {
			name = rule.name
		}
		excuses |= rule.effects
		if got != letIn {
			break
		}
	}
	return name, excuses
}

// effectsOf returns the effects of the rule of that name.
func effectsOf(name string) effect {
	for _, rule := range rules {
		if rule.name == name {
			return rule.effects
		}
	}
	return 0
}
