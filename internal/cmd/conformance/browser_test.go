package main

import (
	"encoding/json"
	"testing"
)

// TestModel: without any rule the flows decide every recorded case as the SDK does.
func TestModel(t *testing.T) {
	for _, f := range only(t, "authenticate.json") {
		for _, raw := range f.Cases {
			var c authCase
			var head caseHead
			var sdk expected
			if json.Unmarshal(raw, &c) != nil || json.Unmarshal(raw, &head) != nil || json.Unmarshal(head.Expect, &sdk) != nil {
				t.Fatal("a case is malformed")
			}
			r := newReading(&c, &sdkKeys{})
			if c.Scope != "" || !r.browses() {
				continue
			}
			d := r.browse(worldOf(nil))
			theirs := &answer{Outcome: sdk.outcome(), Reason: nullable(sdk.Reason), SetCookie: sdk.Headers["set-cookie"]}
			if at := sdk.Headers["location"]; len(at) > 0 {
				theirs.Location = nullable(at[0])
			}
			if !d.is(theirs) {
				t.Errorf("%s: %s %s %s %q\nwant %s %s %s %q", c.ID, d.outcome, d.reason, d.location, d.cookies, theirs.Outcome, theirs.Reason, theirs.Location, theirs.SetCookie)
			}
		}
	}
}
