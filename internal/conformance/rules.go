package main

import (
	"errors"
	"slices"

	"github.com/clerkauth/clerkauth"
)

// effect says what a rule may excuse.
type effect int

const (
	effectReason effect = 1 << iota // both refuse, with different reasons
	effectLess                      // we give less than the SDK
	effectMore                      // we give more than the SDK

	renames    = effectReason
	grantsLess = effectLess
	refuses    = effectLess | effectReason // the SDK may go on to refuse for a reason of its own
	grantsMore = effectMore
	reads      = effectMore | effectLess | effectReason // what the SDK passes over
)

// rule is a way in which we decide otherwise than the SDK, and mean to.
type rule struct {
	name    string
	why     string
	effects effect
	// holds tells, from the inputs and our answer alone, whether the property
	// that the rule is about is there, and makes the SDK answer otherwise.
	holds func(*reading, *answer) bool
}

// rules are tried in this order; the first that holds is named.
var rules = []rule{
	// What can be configured.
	{"browser-later", "cookies, handshakes, refreshing, satellites and proxies are not there yet", refuses, browserLater},
	{"typed-options", "an option of another type, or that Config does not have, is no configuration", refuses, unsaidOption},
	{"exact-origins", "an authorized party that could never equal an azp is refused at the start", refuses, inexactOrigin},
	{"skew-range", "a skew over five minutes or below none is refused at the start", refuses, skewOutOfRange},
	{"key-forms", "JWTKey is read as RSA in any usual form and refused at the start otherwise", refuses, keyUnreadable},
	{"instance-named", "a publishable key that can be read, or issuers, say whose tokens are accepted", refuses, noInstance},
	{"config-at-start", "keys are of one instance, issuers URLs, audiences not empty, or New refuses", refuses, refusedAtStart},
	{"jwt-key-forms", "JWTKey may be of any RSA size, PKCS #1, or have its line breaks escaped", reads, keyReadableByUs},
	{"no-secret-needed", "verifying JWTs takes no secret key, and verifying machine-to-machine tokens no other than the machine's", grantsMore, withoutSecret},

	// How a credential is presented.
	{"strict-http", "net/http refuses what is no request", refuses, badRequest},
	{"one-authorization", "two Authorization lines are refused", refuses, twoLines},
	{"bearer-case", "the scheme is case-insensitive (RFC 9110 section 11.1)", reads, bearerCase},
	{"scheme-required", "a token without a scheme is no credential", refuses, schemeless},
	{"one-space", "one space follows the scheme, and nothing the token", refuses, moreThanOneToken},
	{"missing-token", "where nothing is presented a token is missing, whatever kinds would do", renames, missingToken},
	{"opaque-kind", "an opaque machine token is called by its kind, not malformed", renames, opaqueKind},

	{"opaque-form", "nobody is asked about an opaque credential that is not a prefix and 1 to 512 of A-Z a-z 0-9 _ -", refuses, oddOpaque},
	{"kind-by-claims", "a machine's category, subject or type makes a JWT a machine's, whatever else it lacks", renames, otherKind},
	{"api-key-jwt", "a JWT with an API key's id is no session", refuses, apiKeyJWT},

	// How a token is written.
	{"strict-base64", "padding would give one token two spellings", refuses, malformed(padded)},
	{"token-size", "a token of more than 16 KiB is not looked at", refuses, malformed(oversized)},
	{"json-object", "header and payload are JSON objects", refuses, malformed(notObjects)},
	{"strict-utf8", "JSON is valid UTF-8 without a byte order mark or lone surrogates", refuses, malformed(badText)},
	{"unique-names", "no object has two members of one name", refuses, malformed(twins)},
	{"json-depth", "JSON is nested at most 64 deep", refuses, malformed(deep)},
	{"crit-refused", "extensions that must be understood are not", refuses, malformed(hasMember("crit", "b64", "zip", "enc"))},
	{"no-embedded-keys", "a key is never taken from a token", refuses, malformed(hasMember("jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"))},
	{"empty-signature", "a token without a signature is malformed", renames, malformed(unsigned)},

	// Whose key signed it.
	{"form-before-keys", "typ, alg and kid are judged before keys are fetched", renames, formBeforeKeys},
	{"rs256-only", "RS256 is the one algorithm", refuses, otherRSA},
	{"kid-prototype", "a key id is looked up among key ids alone", renames, prototypeID},
	{"jwk-usable", "a published key verifies only if it is RSA for RS256 signatures of 2048 to 8192 bits, with an id of its own", refuses, unusableKey},
	{"jwks-status", "keys come with status 200", refuses, otherStatus},
	{"stale-keys", "known keys outlive an outage for up to an hour", grantsMore, staleKeys},
	{"withdrawn-keys", "a key that is no longer published is no longer known", refuses, withdrawnKey},
	{"fetch-limit", "unknown key ids and failures do not cause a fetch each", refuses, fetchLimited},
	{"outage-reason", "keys that cannot be had are one reason, whatever went wrong", renames, outage},

	// What a machine's JWT is, before its claims.
	{"oauth-category", "an OAuth token is of no category of Clerk's", refuses, ofKind(clerkauth.OAuthToken, categorised)},

	// What it claims.
	{"subject-required", "a session is somebody's: sub is an id of visible ASCII", refuses, badClaim(clerkauth.ErrTokenClaims, noSubject)},
	{"audience-enforced", "a configured audience is demanded, in the form of RFC 7519", refuses, badClaim(clerkauth.ErrTokenClaims, noAudience)},
	{"party-exact", "a party is compared as a whole", refuses, badClaim(clerkauth.ErrTokenParty, partOfParty)},
	{"issuer-enforced", "iss is the instance's", refuses, badClaim(clerkauth.ErrTokenIssuer, foreignIssuer)},
	{"claim-range", "times are from 1970 to 9999, and none is after the expiry", refuses, badClaim(clerkauth.ErrTokenClaims, timesOutOfRange)},
	{"session-id-required", "a session has an id, which begins with sess_", refuses, badClaim(clerkauth.ErrTokenClaims, noSessionID)},
	{"unknown-status", "a session is active or pending; what else sts may say is not known", refuses, badClaim(clerkauth.ErrTokenClaims, oddStatus)},

	{"token-id-required", "a machine's JWT has an id", refuses, claimOfMachine(noTokenID)},
	{"scope-types", "scopes are a text or a list of texts", refuses, claimOfMachine(oddScopes)},
	{"machine-subject", "a machine-to-machine token is of a machine, an OAuth token of a user, an API key of a user or an organization", refuses, foreignSubject},
	{"precise-reason", "a machine's JWT is refused for the reasons for which a session's is", renames, preciseReason},

	// What Clerk says about an opaque credential.
	{"answer-form", "an answer is a JSON object of unique names and Clerk's types that says whether it is revoked or expired", refuses, told(noAnswer, clerkauth.ErrBackendUnavailable)},
	{"answer-object", "an answer is about the kind of credential that was asked about", refuses, told(otherObject, clerkauth.ErrTokenInvalid)},
	{"answer-ids", "a credential has an id, and is somebody's", refuses, told(namesNobody, clerkauth.ErrTokenInvalid)},
	{"answer-flags", "what is revoked or expired is refused, whatever the status", refuses, told(noLongerGood, clerkauth.ErrTokenInvalid, clerkauth.ErrTokenExpired)},
	{"answer-status", "401 is about our key whatever its body, and 404 about the credential only with Clerk's error", renames, otherMeaning},
	{"json-charset", "JSON whose type has a parameter is JSON", grantsMore, charset},

	// What it grants.
	{"known-version", "organization claims of a version that is not known are not read", grantsLess, unknownVersion},
	{"claim-types", "an organization without an id, or a claim of another type than Clerk's, grants nothing", grantsLess, oddOrganization},
	{"scope-words", "nothing between two spaces is no scope", grantsLess, emptyScopes},
	{"client-id", "a client is named by an id of visible ASCII", grantsLess, oddClient},
	{"decodable-claims", "claims that encoding/json cannot hold are not handed out", grantsLess, undecodable},
}

// ruleFor names the rule by which we decide otherwise than the SDK, "" if we do
// not, or do not know why.
func ruleFor(r *reading, a *answer) string {
	if a.Reason == reasonPanic || a.Outcome == outcomeRefuse && (r.flow == flowThrows || r.sdkCrashes(a)) {
		return "" // the SDK refuses as well, and gives no reason
	}
	if reason, of := r.sdkRefuses(); a.Outcome == outcomeRefuse && reason != "" && a.Reason == nullable(reason) && a.TokenType == nullable(of) {
		return ""
	}
	for _, rule := range rules {
		if rule.holds(r, a) {
			return rule.name
		}
	}
	return ""
}

// may tells whether the rule of that name excuses an effect.
func may(name string, e effect) bool {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	return i >= 0 && rules[i].effects&e != 0
}

func browserLater(r *reading, a *answer) bool {
	var u unsayable
	if errors.As(a.config, &u) {
		return slices.Contains([]string{"isSatellite", "domain", "proxyUrl", "organizationSyncOptions"}, u.option)
	}
	switch a.Reason {
	case nullable(clerkauth.ErrTokenMissing):
		return r.flow == flowCookies
	case nullable(clerkauth.ErrTokenExpired), nullable(clerkauth.ErrTokenEarly), nullable(clerkauth.ErrTokenFuture):
		// The SDK would refresh, or start a handshake.
		return r.flow == flowSession && r.decodes
	}
	return false
}
