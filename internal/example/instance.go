package example

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// Instance returns the configuration of the Clerk instance to use: your own if a variable
// of Clerk's is set ([clerkauth.New] says which are missing), otherwise a local instance
// for the application with that origin, which is also returned. Because everybody can sign
// in at a local instance, Instance returns an error if listener is not on loopback.
func Instance(listener net.Addr, origin string) (clerkauth.Config, *clerkauthtest.Server, error) {
	if Configured() != "" {
		return clerkauth.FromEnv(), nil, nil
	}
	if err := checkLoopback(listener); err != nil {
		return clerkauth.Config{}, nil, err
	}
	clerk, err := clerkauthtest.Start(clerkauthtest.Origin(origin))
	if err != nil {
		return clerkauth.Config{}, nil, err
	}
	return clerk.Config(), clerk, nil
}

// Local returns a local instance for a program that cannot use another one. It returns an
// error where [Instance] would not return a local one.
func Local(listener net.Addr, origin string) (*clerkauthtest.Server, error) {
	if name := Configured(); name != "" {
		return nil, fmt.Errorf("this needs a local Clerk instance, and there is none because %s is set: unset Clerk's variables", name)
	}
	_, clerk, err := Instance(listener, origin)
	return clerk, err
}

// Configured returns the name of a variable of Clerk's that is set, such as CLERK_SECRET_KEY
// or NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY, or "".
func Configured() string {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if value != "" && (strings.HasPrefix(name, "CLERK_") || strings.Contains(name, "_CLERK_")) {
			return name
		}
	}
	return ""
}

func checkLoopback(listener net.Addr) error {
	if at, ok := listener.(*net.TCPAddr); ok && at.IP.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%v is not on loopback, and everybody who reaches it could sign in at a local Clerk instance: "+
		"set CLERK_PUBLISHABLE_KEY, CLERK_SECRET_KEY and CLERK_AUTHORIZED_PARTIES for your own, or listen on localhost", listener)
}
