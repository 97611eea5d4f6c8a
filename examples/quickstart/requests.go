package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"
)

// request is a request to try, and the status of its response.
type request struct {
	shows  string
	method string
	path   string
	token  token
	want   int
}

// printAll prints the requests as commands for a shell, after the tokens as variables.
func printAll(out io.Writer, base string, requests []request) {
	fmt.Fprintf(out, "serving on %s\n", base)
	printed := map[string]bool{}
	for _, r := range requests {
		name := r.token.variable
		if name == "" || printed[name] {
			continue
		}
		if len(printed) == 0 {
			fmt.Fprintln(out, "\n# paste these into your shell first")
		}
		printed[name] = true
		fmt.Fprintf(out, "%s='%s'\n", name, r.token.value)
	}
	for _, r := range requests {
		fmt.Fprintf(out, "\n# %s: %d\ncurl -i", r.shows, r.want)
		if r.method != http.MethodGet {
			fmt.Fprintf(out, " -X %s", r.method)
		}
		switch {
		case r.token.variable != "":
			fmt.Fprintf(out, ` -H "Authorization: Bearer $%s"`, r.token.variable)
		case r.token.value != "":
			fmt.Fprintf(out, ` -H "Authorization: Bearer %s"`, r.token.value)
		}
		fmt.Fprintf(out, " %s%s\n", base, r.path)
	}
	if len(printed) == 0 {
		fmt.Fprintf(out, "\n# signed in: run `await Clerk.session.getToken()` in the console of one of your pages; the token is valid for a minute\n"+
			"TOKEN='<token>'\ncurl -i -H \"Authorization: Bearer $TOKEN\" %s/dashboard\n", base)
	}
	fmt.Fprintln(out, "\npress Ctrl-C to stop")
}

// errCheck indicates that a response was not the expected one.
var errCheck = errors.New("a response was not as expected")

// checkAll makes the requests, prints a table of their expected and actual statuses, and
// returns errCheck if one differs.
func checkAll(ctx context.Context, out io.Writer, base string, requests []request) error {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tEXPECTED\tSEEN\t\tSHOWS")
	failed := 0
	for _, r := range requests {
		seen, err := try(ctx, client, base, r)
		verdict := "ok"
		if err != nil || seen != r.want {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s %s\t%d\t%d\t%s\t%s\n", r.method, r.path, r.want, seen, verdict, r.shows)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(requests)-failed, failed)
	if failed > 0 {
		return errCheck
	}
	return nil
}

func try(ctx context.Context, client *http.Client, base string, r request) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, nil)
	if err != nil {
		return 0, err
	}
	if r.token.value != "" {
		req.Header.Set("Authorization", "Bearer "+r.token.value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
