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
// What is not seen here: middleware that rewrites a path behind the guard, file
// systems and programs that take one letter for another beyond ASCII's two
// cases, and echo's habit to let the last parameter of a route stand for the rest
// of the path, slashes and all: the pattern of its route /a/:id is /a/:id(.*).
//
// The parts, from the bottom up:
//
//   - [Pattern]: what a rule is written in, Go's grammar or Clerk's;
//   - relation: whether one pattern contains another, decided on automata;
//   - trie: the patterns that match a path, found without trying them all;
//   - [Readings]: the forms of a request target;
//   - [Table]: values by pattern, most specific first, checked as a whole;
//   - [Matcher]: a list of patterns, asked for any or for all readings.
package route
