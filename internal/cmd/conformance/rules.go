package main

import (
	"slices"

	"github.com/clerkauth/clerkauth"
)

// effect says what a rule may excuse.
type effect int

const (
	effectReason       effect = 1 << iota // both refuse, with different reasons
	effectLess                            // we refuse or redirect where the SDK does more
	effectMore                            // we give more than the SDK
	effectOrganization                    // both let in, we with less of an organization
	effectScopes                          // … with fewer scopes
	effectClient                          // … without the client's name
	effectClaims                          // … without the claims themselves

	renames    = effectReason
	refuses    = effectLess | effectReason // the SDK may go on to refuse for a reason of its own
	grantsMore = effectMore
	reads      = effectMore | effectReason // what the SDK passes over
)

// letIn stands among reasons for an answer that lets the caller in.
const letIn clerkauth.Reason = outcomeIn

// rule is a way in which we decide otherwise than the SDK, and mean to.
type rule struct {
	name    string
	why     string
	effects effect
	// answers returns what we may answer where the property that the rule is about is
	// there, and makes the SDK answer otherwise: reasons of refusals, or letIn. It
	// returns none where the property is absent. It sees the inputs alone, so that a
	// library that answers wrongly cannot call a rule to its help.
	answers func(*reading) []clerkauth.Reason
}

// when returns the answers of a rule that has the same ones wherever its property is
// there.
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
	// What can be configured.
	{"browser-later", "cookies, handshakes, refreshing, satellites and proxies are not there yet", refuses, browserLater},
	{"typed-options", "an option of another type, or that Config does not have, is no configuration", refuses, when(unsaidOption, reasonConfiguration)},
	{"exact-origins", "an authorized party that could never equal an azp is refused at the start", refuses, when(inexactOrigin, reasonConfiguration)},
	{"skew-range", "a skew over five minutes or below none is refused at the start", refuses, when(skewOutOfRange, reasonConfiguration)},
	{"key-forms", "JWTKey is read as RSA in any usual form and refused at the start otherwise", refuses, when(keyUnreadable, reasonConfiguration)},
	{"instance-named", "a publishable key that can be read, or issuers, say whose tokens are accepted", refuses, when(noInstance, reasonConfiguration)},
	{"config-at-start", "keys are of one instance, issuers URLs, audiences not empty, or New refuses", refuses, when(refusedAtStart, reasonConfiguration)},
	{"jwt-key-forms", "JWTKey may be of any RSA size, PKCS #1, or have its line breaks escaped", reads, keyReadableByUs},
	{"no-secret-needed", "verifying JWTs takes no secret key, and verifying machine-to-machine tokens no other than the machine's", grantsMore, when(withoutSecret, letIn)},

	// How a credential is presented.
	{"strict-http", "net/http refuses what is no request", refuses, when(badRequest, reasonRequest)},
	{"one-authorization", "two Authorization lines are refused", refuses, whenInvalid(twoLines)},
	{"bearer-case", "the scheme is case-insensitive (RFC 9110 section 11.1)", reads, bearerCase},
	{"scheme-required", "a token without a scheme is no credential", refuses, when(schemeless, clerkauth.ErrTokenMissing)},
	{"one-space", "one space follows the scheme, and nothing the token", refuses, whenInvalid(moreThanOneToken)},
	{"missing-token", "where nothing is presented a token is missing, whatever kinds would do", renames, when(missingToken, clerkauth.ErrTokenMissing)},
	{"opaque-kind", "an opaque machine token is called by its kind, not malformed", renames, when(opaqueKind, clerkauth.ErrTokenType)},

	{"opaque-form", "nobody is asked about an opaque credential that is not a prefix and 1 to 512 of A-Z a-z 0-9 _ -", refuses, whenInvalid(oddOpaque)},
	{"kind-by-claims", "a machine's category, subject or type makes a JWT a machine's, whatever else it lacks", renames, when(otherKind, clerkauth.ErrTokenType, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenClaims)},
	{"api-key-jwt", "a JWT with an API key's id is no session", refuses, when(apiKeyJWT, clerkauth.ErrTokenType)},

	// How a token is written.
	{"strict-base64", "padding would give one token two spellings", refuses, malformed(padded)},
	{"token-size", "a token of more than 16 KiB is not looked at", refuses, malformed(oversized)},
	{"json-object", "header and payload are JSON objects", refuses, malformed(notObjects)},
	{"strict-utf8", "JSON is valid UTF-8 without a byte order mark or lone surrogates", refuses, malformed(badText)},
	{"unique-names", "no object has two members of one name", refuses, malformed(duplicateNames)},
	{"json-depth", "JSON is nested at most 64 deep", refuses, malformed(deep)},
	{"crit-refused", "extensions that must be understood are not", refuses, malformed(hasMember("crit", "b64", "zip", "enc"))},
	{"no-embedded-keys", "a key is never taken from a token", refuses, malformed(hasMember("jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"))},
	{"empty-signature", "a token without a signature is malformed", renames, malformed(unsigned)},

	// Whose key signed it.
	{"form-before-keys", "typ, alg and kid are judged before keys are fetched", renames, formBeforeKeys},
	{"rs256-only", "RS256 is the one algorithm", refuses, when(otherRSA, clerkauth.ErrTokenAlgorithm)},
	{"kid-prototype", "a key id is looked up among key ids alone", renames, when(prototypeID, clerkauth.ErrUnknownKey)},
	{"jwk-usable", "a published key verifies only if it is RSA for RS256 signatures of 2048 to 8192 bits, with an id of its own", refuses, when(unusableKey, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable)},
	{"jwks-status", "keys come with status 200", refuses, when(otherStatus, clerkauth.ErrKeysUnavailable)},
	{"stale-keys", "known keys outlive an outage for up to an hour", grantsMore, when(staleKeys, letIn)},
	{"withdrawn-keys", "a key that is no longer published is no longer known", refuses, when(withdrawnKey, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable)},
	{"fetch-limit", "unknown key ids and failures do not cause a fetch each", refuses, when(fetchLimited, clerkauth.ErrUnknownKey, clerkauth.ErrKeysUnavailable)},
	{"outage-reason", "keys that cannot be had are one reason, whatever went wrong", renames, when(outage, clerkauth.ErrKeysUnavailable)},

	// What a machine's JWT is, before its claims.
	{"oauth-category", "an OAuth token is of no category of Clerk's", refuses, when(categorised, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenType)},

	// What it claims.
	{"foreign-bearer", "a session token of another issuer is called so before any key is looked up", renames, when(foreignBearer, clerkauth.ErrTokenIssuer)},
	{"subject-required", "a session is somebody's: sub is an id of visible ASCII", refuses, badClaim(clerkauth.ErrTokenClaims, noSubject)},
	{"audience-enforced", "a configured audience is demanded, in the form of RFC 7519", refuses, badClaim(clerkauth.ErrTokenClaims, noAudience)},
	{"party-exact", "a party is compared as a whole", refuses, badClaim(clerkauth.ErrTokenParty, partOfParty)},
	{"issuer-enforced", "iss is the instance's", refuses, badClaim(clerkauth.ErrTokenIssuer, foreignIssuer)},
	{"claim-range", "times are from 1970 to 9999, and none is after the expiry", refuses, badClaim(clerkauth.ErrTokenClaims, timesOutOfRange)},
	{"session-id-required", "a session has an id, which begins with sess_", refuses, badClaim(clerkauth.ErrTokenClaims, noSessionID)},
	{"unknown-status", "a session is active or pending; what else sts may say is not known", refuses, badClaim(clerkauth.ErrTokenClaims, oddStatus)},
	{"cnf-refused", "what is bound to a key takes a proof of possession (RFC 8705 section 3, RFC 9449 section 6)", refuses, badClaim(clerkauth.ErrTokenClaims, confirmed)},

	{"token-id-required", "a machine's JWT has an id", refuses, claimOfMachine(noTokenID)},
	{"scope-types", "scopes are a text or a list of texts", refuses, claimOfMachine(oddScopes)},
	{"machine-subject", "a machine-to-machine token is of a machine, an OAuth token of a user, an API key of a user or an organization", refuses, when(foreignSubject, clerkauth.ErrTokenClaims)},
	{"precise-reason", "a machine's JWT is refused for the reasons for which a session's is", renames, preciseReason},

	// What Clerk says about an opaque credential.
	{"answer-form", "an answer is a JSON object of unique names and Clerk's types that says whether the credential is revoked or expired", refuses, told(noAnswer, clerkauth.ErrBackendUnavailable)},
	{"answer-object", "an answer is about the kind of credential that was asked about", refuses, told(otherObject, clerkauth.ErrTokenInvalid)},
	{"answer-ids", "a credential has an id, and is somebody's", refuses, told(namesNobody, clerkauth.ErrTokenInvalid)},
	{"answer-flags", "what is revoked or expired is refused, whatever the status", refuses, told(noLongerGood, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenExpired)},
	{"answer-cnf", "what is bound to a key takes a proof of possession, in either form", refuses, told(bound, clerkauth.ErrTokenClaims)},
	{"answer-status", "401 is about our key whatever its body, and 404 about the credential only with Clerk's error", renames, otherMeaning},
	{"json-charset", "JSON whose type has a parameter is JSON", grantsMore, when(charset, letIn)},

	// What it grants.
	{"known-version", "organization claims of a version that is not known are not read", effectOrganization, when(unknownVersion, letIn)},
	{"claim-types", "an organization without an id, or a claim of another type than Clerk's, grants nothing", effectOrganization, when(oddOrganization, letIn)},
	{"scope-words", "nothing between two spaces is no scope", effectScopes, when(emptyScopes, letIn)},
	{"client-id", "a client is named by an id of visible ASCII", effectClient, when(oddClient, letIn)},
	{"decodable-claims", "claims that encoding/json would mix up, or cannot hold, are not handed out", effectClaims, when(undecodable, letIn)},
}

// ruleFor names the rule by which we decide otherwise than the SDK, "" if we do
// not, or do not know why, and what it excuses. If we let the caller in, several rules
// may make us grant less: the first is named.
func ruleFor(r *reading, a *answer) (name string, excuses effect) {
	got := letIn
	if a.Outcome == outcomeRefuse {
		got = clerkauth.Reason(a.Reason)
		if a.Reason == reasonPanic || r.flow == flowThrows || r.sdkCrashes() {
			return "", 0 // the SDK refuses as well, and gives no reason
		}
		if reason, of := r.sdkRefuses(); reason != "" && got == reason && a.TokenType == nullable(of) {
			return "", 0
		}
	}
	for _, rule := range rules {
		if !slices.Contains(rule.answers(r), got) {
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

// effectsOf returns what the rule of that name excuses.
func effectsOf(name string) effect {
	for _, rule := range rules {
		if rule.name == name {
			return rule.effects
		}
	}
	return 0
}

// browserLater returns how we refuse what takes a browser's flows: we know no
// satellites and no proxies, read no cookies, and send nobody to get a fresh token.
func browserLater(r *reading) []clerkauth.Reason {
	switch {
	case slices.Contains([]string{"isSatellite", "domain", "proxyUrl", "organizationSyncOptions"}, r.unsaid):
		return []clerkauth.Reason{reasonConfiguration}
	case r.flow == flowCookies:
		return []clerkauth.Reason{clerkauth.ErrTokenMissing}
	case r.flow == flowSession && r.signed():
		// The SDK would refresh, or start a handshake.
		if reason := r.sdkJudgesTimes(); reason != "" && reason != clerkauth.ErrTokenClaims {
			return []clerkauth.Reason{reason}
		}
	}
	return nil
}
