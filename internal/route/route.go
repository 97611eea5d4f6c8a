// Package route decides which rule a request falls under, from its method and
// its request target alone. It knows nothing of who is calling.
//
// A path has more than one reading: net/http hands out a decoded and an encoded
// form, one router cleans it, another does not, a handler decodes what the
// router left alone. A guard that looks at one form is passed by writing the
// path in another. So this package asks for the rule of every form that
// something behind the guard might see ([Readings]) and returns all of them: the
// caller demands every one. A path is public only where all its readings are.
// Adding a reading can refuse more, and never let more through.
//
// Two forms are asked for by rules that guard alone: a path without its last
// name's extension ([extension]), and what an empty segment may leave of a path
// ([shortened]). A host, where rules name hosts, has readings as a path has.
//
// What is not seen here: whatever rewrites path, host or method behind the guard,
// programs that take other letters for each other than Unicode's simple folding
// does, and routers whose last parameter stands for the rest of a path, slashes and
// all: the pattern of such a route /a/:id is /a/:id(.*).
//
// The parts, from the bottom up:
//
//   - [Pattern]: what a rule is written in, Go's grammar or Clerk's;
//   - relation: whether one pattern contains another, decided on automata;
//   - crossing: the pairs of patterns that are worth asking that about;
//   - trie: the patterns that match a path, found without trying them all;
//   - [Readings]: the forms of a request target;
//   - [Table]: values by pattern, most specific first, checked as a whole;
//   - [Matcher]: a list of patterns, asked for any or for all readings.
package route
