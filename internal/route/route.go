// Package route decides which rules a request has to meet, from its method and its
// request target only. It knows nothing about callers.
//
// A path has more than one reading: net/http offers a decoded and an encoded form, one
// router cleans paths and another does not, and a handler decodes what the router did
// not. A guard that compares one form is bypassed by writing the path in another. So this
// package looks up every form that a program behind the guard may see ([Readings]) and
// returns the rules of all of them, each of which has to be met. A path is public only if
// all its readings are. An additional reading can refuse more, and never admit more.
//
// Two forms are looked up for guarding rules only: a path without the extension of its
// last name ([extension]), and what an empty segment may leave of a path ([shortened]).
// If rules name hosts, a host has readings as a path has.
//
// Not accounted for are handlers that rewrite the path, host or method behind the guard,
// programs that treat more letters as equal than Unicode's simple folding does, and
// routers whose last parameter matches the rest of a path, slashes included: the pattern
// of such a route /a/:id is /a/:id(.*).
//
// The parts, from the bottom up:
//
//   - [Pattern]: a parsed pattern, in Go's grammar or Clerk's;
//   - relation: whether one pattern contains another, decided by automata;
//   - crossing: the pairs of patterns that have to be compared;
//   - trie: the patterns that match a path, found without trying them all;
//   - [Readings]: the forms of a request target;
//   - [Table]: values by pattern, most specific first, checked as a whole;
//   - [Matcher]: a list of patterns that any or all readings have to match.
package route
