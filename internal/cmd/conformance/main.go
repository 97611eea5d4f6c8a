// Command conformance replays recorded decisions of Clerk's own JavaScript SDK
// and compares them with ours.
//
//	go run ./internal/cmd/conformance testdata/corpus             counts; exits 1 if a case is laxer or unexplained, or a floor is not reached
//	go run ./internal/cmd/conformance -decisions testdata/corpus  our decision for each case, one line of JSON
//	go run ./internal/cmd/conformance -only header,has testdata/corpus
//
// A case has the options of the SDK's authenticateRequest, a request, the clock and the
// responses of the Backend API. Our decision is one of three: "in" (an identity),
// "redirect", or "refuse", which includes a configuration that New rejects. Compared
// with the SDK's, it is
//
//   - agree: the same;
//   - same refusal: a refusal as well, for another reason, by a named rule;
//   - stricter: less than the SDK grants, by a named rule;
//   - laxer: more than the SDK grants, which only a few rules excuse;
//   - unexplained: anything else.
//
// Decisions and the names of rules depend only on the inputs of a case. A rule is
// derived from the runner's own reading of the case, never from the library's decision.
// Only the comparison reads the SDK's decision. Each file has a floor of cases that must
// agree, however well the others are explained: see floors.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// judge decides the cases of one file.
type judge struct {
	file string
	// open returns the function that lets a product decide the cases of such a file, in
	// their order.
	open func(product, corpusFile) func(json.RawMessage) (decision, error)
}

var judges = []judge{
	{"authenticate.json", openAuthenticate},
	{"has.json", openHas},
	{"matcher.json", openMatcher},
	{"webhook.json", openWebhook},
}

// decision is our decision for one case. As JSON it is the line that -decisions prints.
type decision interface {
	compare(expect json.RawMessage) (verdict, error)
}

func main() {
	decisions := flag.Bool("decisions", false, "print our decisions instead of comparing them")
	only := flag.String("only", "", "compare only groups with one of these prefixes, separated by commas")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: conformance [-decisions] [-only prefixes] dir")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	var good bool
	var err error
	if *decisions {
		good, err = true, printDecisions(os.Stdout, flag.Arg(0))
	} else {
		good, err = printComparison(os.Stdout, flag.Arg(0), strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	case !good:
		os.Exit(1)
	}
}

// each lets p decide every case of every file that has a judge, and calls visit.
func each(p product, files []corpusFile, visit func(file string, head caseHead, d decision) error) error {
	for _, j := range judges {
		for _, f := range files {
			if f.Name != j.file {
				continue
			}
			decide := j.open(p, f)
			for i, raw := range f.Cases {
				var head caseHead
				if err := json.Unmarshal(raw, &head); err != nil {
					return fmt.Errorf("%s: case %d: %w", f.Name, i, err)
				}
				d, err := decide(raw)
				if err == nil {
					err = visit(f.Name, head, d)
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", f.Name, head.ID, err)
				}
			}
		}
	}
	return nil
}

func printDecisions(w io.Writer, dir string) error {
	files, err := readCorpus(dir)
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return each(library, files, func(_ string, _ caseHead, d decision) error { return out.Encode(d) })
}

// printComparison prints the counts and reports whether nothing is laxer or unexplained
// and every floor is reached. Floors are not checked if only some groups are compared.
func printComparison(w io.Writer, dir string, only []string) (bool, error) {
	files, err := readCorpus(dir)
	if err != nil {
		return false, err
	}
	r, err := compareAll(library, files, only)
	if err != nil {
		return false, err
	}
	if len(only) == 0 {
		r.holdToFloors()
	}
	r.print(w)
	return len(r.bad) == 0, nil
}

func compareAll(p product, files []corpusFile, only []string) (*report, error) {
	r := newReport()
	err := each(p, files, func(file string, head caseHead, d decision) error {
		if !wanted(head.Group, only) {
			return nil
		}
		if head.Expect == nil {
			return errors.New("the case has no expect")
		}
		v, err := d.compare(head.Expect)
		if err != nil {
			return err
		}
		r.add(file, head, v)
		return nil
	})
	return r, err
}

func wanted(group string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(group, p) {
			return true
		}
	}
	return len(prefixes) == 0
}
