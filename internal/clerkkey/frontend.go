package clerkkey

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// PublishableVariable is the environment variable of the publishable key.
const PublishableVariable = "CLERK_PUBLISHABLE_KEY"

// publicPrefixes begin the names of variables that front-end tools expose to pages.
var publicPrefixes = []string{"NEXT_PUBLIC_", "VITE_", "EXPO_PUBLIC_", "PUBLIC_"}

// FrontEnd is the publishable key in the variables of front-end tools, and in
// PublishableVariable. The zero value is that of an environment without one.
type FrontEnd struct {
	Plain  string   // the value of PublishableVariable
	Name   string   // the first front-end variable that is set
	Key    string   // its value
	Others []string // the front-end variables with another value
}

// FindFrontEnd returns what the environment holds; plain is the value of
// PublishableVariable.
func FindFrontEnd(plain string) *FrontEnd {
	f := &FrontEnd{Plain: plain}
	for _, prefix := range publicPrefixes {
		name := prefix + PublishableVariable
		switch key := os.Getenv(name); {
		case key == "" || key == f.Key:
		case f.Key == "":
			f.Name, f.Key = name, key
		default:
			f.Others = append(f.Others, name)
		}
	}
	return f
}

// Choice is the publishable key that is used.
type Choice struct {
	Key       string   // "" if there is none
	Name      string   // the front-end variable that it was read from, if it was
	Differing []string // the front-end variables that hold another key than PublishableVariable
}

// Choose returns the key to use of a configuration with that publishable key, where
// decided says that the configuration determines keys or issuers in another way. It returns
// an error if front-end variables differ and nothing else decides.
func (f *FrontEnd) Choose(key string, decided bool) (Choice, error) {
	fromFrontEnd := f.Plain == "" && f.Key != "" && key == f.Key
	c := Choice{Key: key}
	switch {
	case fromFrontEnd && decided:
		c.Key = "" // it must not add an issuer to those that are configured
	case fromFrontEnd:
		c.Name = f.Name
	case key == "" && len(f.Others) > 0 && !decided:
		return Choice{}, fmt.Errorf("%s and %s differ: set CLERK_PUBLISHABLE_KEY to the one that this server is for",
			f.Name, strings.Join(f.Others, ", "))
	case key != "" && key == f.Plain && f.Key != "" && (key != f.Key || len(f.Others) > 0):
		c.Differing = slices.Clone(f.Others)
		if key != f.Key {
			c.Differing = append([]string{f.Name}, c.Differing...)
		}
	}
	return c, nil
}
