package event_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/event"
)

// renamed are fields whose value is in another field of the payload's type, because that
// has the names of a newer version of Clerk's API. What is below a field moves with it.
var renamed = []struct{ old, new, reason string }{
	{"payment_source.payment_method", "payment_method.payment_type", "since API version 2025-11-10 the payment method is what was the source"},
	{"payment_source", "payment_method", "since API version 2025-11-10 the payment method is what was the source"},
	{"payment_source_id", "payment_method_id", "since API version 2025-11-10 the payment method is what was the source"},
	{"plan.amount", "plan.fee.amount", "since API version 2025-11-10 a plan has a fee for each period"},
	{"plan.currency", "plan.fee.currency", "since API version 2025-11-10 a plan has a fee for each period"},
}

// deprecated are fields that the payload's type leaves out. Clerk's schema marks them as
// deprecated.
var deprecated = map[string]string{
	"user.profile_image_url":             "image_url is the same image",
	"public_user_data.profile_image_url": "image_url is the same image",
	"payment.invoice_id":                 "statement_id took its place",
}

// emptyForNull are fields that are "" if Clerk sends null, because the SDK declares them as
// strings and not as pointers.
var emptyForNull = []string{"public_user_data.identifier", "enterprise_accounts[].enterprise_connection_id", "payment_method.last4"}

// roundTrip decodes an event and encodes its payload.
type roundTrip struct {
	name string
	of   func(*event.Raw) (any, error)
}

func of[T any](typ event.Type[T]) roundTrip {
	return roundTrip{typ.Name(), func(raw *event.Raw) (any, error) {
		e, err := typ.Decode(raw)
		if err != nil {
			return nil, err
		}
		return e.Data, nil
	}}
}

// ofUser reads what clerk.User lacks from the event that the handler gets.
func ofUser(typ event.Type[clerk.User]) roundTrip {
	return roundTrip{typ.Name(), func(raw *event.Raw) (any, error) {
		e, err := typ.Decode(raw)
		if err != nil {
			return nil, err
		}
		return event.FullUser(e)
	}}
}

var roundTrips = []roundTrip{
	ofUser(event.UserCreated), ofUser(event.UserUpdated), of(event.UserDeleted),
	of(event.SessionCreated), of(event.SessionPending), of(event.SessionEnded), of(event.SessionRemoved), of(event.SessionRevoked),
	of(event.EmailCreated), of(event.SMSCreated),
	of(event.OrganizationCreated), of(event.OrganizationUpdated), of(event.OrganizationDeleted),
	of(event.OrganizationDomainCreated), of(event.OrganizationDomainUpdated), of(event.OrganizationDomainDeleted),
	of(event.OrganizationMembershipCreated), of(event.OrganizationMembershipUpdated), of(event.OrganizationMembershipDeleted),
	of(event.OrganizationInvitationCreated), of(event.OrganizationInvitationAccepted), of(event.OrganizationInvitationRevoked),
	of(event.RoleCreated), of(event.RoleUpdated), of(event.RoleDeleted),
	of(event.PermissionCreated), of(event.PermissionUpdated), of(event.PermissionDeleted),
	of(event.WaitlistEntryCreated), of(event.WaitlistEntryUpdated),
	of(event.PaymentAttemptCreated), of(event.PaymentAttemptUpdated),
	of(event.SubscriptionCreated), of(event.SubscriptionUpdated), of(event.SubscriptionActive), of(event.SubscriptionPastDue),
	of(event.SubscriptionItemCreated), of(event.SubscriptionItemUpdated), of(event.SubscriptionItemActive), of(event.SubscriptionItemCanceled),
	of(event.SubscriptionItemUpcoming), of(event.SubscriptionItemEnded), of(event.SubscriptionItemAbandoned), of(event.SubscriptionItemIncomplete),
	of(event.SubscriptionItemPastDue), of(event.SubscriptionItemFreeTrialEnding),
}

// leaves returns what is in a JSON text and holds nothing itself, by path. Numbers keep
// their digits.
func leaves(t *testing.T, text []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var top any
	if err := d.Decode(&top); err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	var add func(string, any)
	add = func(path string, v any) {
		members, isObject := v.(map[string]any)
		elements, isArray := v.([]any)
		switch {
		case len(members) > 0:
			for name, v := range members {
				add(strings.TrimPrefix(path+"."+name, "."), v)
			}
		case len(elements) > 0:
			for i, v := range elements {
				add(fmt.Sprintf("%s[%d]", path, i), v)
			}
		case isObject:
			found[path] = "{}"
		case isArray:
			found[path] = "[]"
		default:
			found[path] = v
		}
	}
	add("", top)
	return found
}

// schemaFields returns the flags of each field in webhook-fields.tsv, by "type path".
func schemaFields(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../testdata/webhook-fields.tsv")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(cells) == 4 && cells[0] != "type" {
			fields[cells[0]+" "+cells[1]] += "," + cells[3] // variants of an object share paths
		}
	}
	return fields
}

var index = regexp.MustCompile(`\[\d+\]`)

// TestPayloadsLoseNothing decodes and encodes events that have every field of Clerk's schema,
// and requires every leaf back.
func TestPayloadsLoseNothing(t *testing.T) {
	trips := map[string]roundTrip{}
	for _, trip := range roundTrips {
		trips[trip.name] = trip
	}
	if names := slices.Sorted(maps.Keys(trips)); !slices.Equal(names, event.Names()) || len(names) != len(roundTrips) {
		t.Fatalf("not every type is tested, or one twice: %v", names)
	}
	fields := schemaFields(t)
	total, nulls, empty, lost := 0, 0, 0, 0
	types, seen := map[string]bool{}, map[string]bool{}
	usedNames, usedDeprecated, usedEmpty := map[string]int{}, map[string]int{}, map[string]int{}
	eachPayload(t, func(form string, raw *event.Raw) {
		types[raw.Type] = true
		data, err := trips[raw.Type].of(raw)
		if err != nil {
			t.Errorf("%s, %s: %v", raw.Type, form, err)
			return
		}
		encoded, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		got := leaves(t, encoded)
		for path, want := range leaves(t, raw.Data) {
			total++
			field := "data." + index.ReplaceAllString(path, "[]")
			flags, known := fields[raw.Type+" "+field]
			seen[raw.Type+" "+field] = true
			have, back := got[path]
			if back && have == want {
				continue
			}
			if old, there := place(path); there != "" {
				if have, back = got[there]; back && have == want {
					usedNames[old]++
					continue
				}
				path = there
			}
			switch name := deprecatedName(raw.Type, path); {
			case name != "" && !back && known && strings.Contains(flags, "deprecated"):
				usedDeprecated[name]++
			case want == "{}" && holds(got, path):
			case want == nil && !back && (strings.Contains(flags, "nullable") || !known): // the schema's list has no row for an object
				nulls++
			case want == nil && have == "" && strings.Contains(flags, "nullable") && suffix(emptyForNull, path) != "":
				empty++
				usedEmpty[suffix(emptyForNull, path)]++
			default:
				lost++
				t.Errorf("%s, %s: %s is lost: %v became %v (%t)", raw.Type, form, path, want, have, back)
			}
		}
	})
	// The exceptions are needed, and the schema's fields are all tried.
	for _, r := range renamed {
		if usedNames[r.old] == 0 || r.reason == "" {
			t.Errorf("%s is not renamed, or without a reason", r.old)
		}
	}
	for name, reason := range deprecated {
		if usedDeprecated[name] == 0 || reason == "" {
			t.Errorf("%s is not left out, or without a reason", name)
		}
	}
	for _, name := range emptyForNull {
		if usedEmpty[name] == 0 {
			t.Errorf("%s is not empty for null", name)
		}
	}
	if len(renamed) > 10 {
		t.Errorf("%d fields are renamed", len(renamed))
	}
	for field := range fields {
		if _, path, _ := strings.Cut(field, " data."); path != "" && !seen[field] && !holds(seen, field) && !seen[strings.TrimSuffix(field, "[]")] {
			t.Errorf("no payload has %s", field)
		}
	}
	t.Logf("types %d, leaves %d: null and left out %d, null and empty %d; deprecated: %v; renamed %d: %v; lost %d",
		len(types), total, nulls, empty, usedDeprecated, len(renamed), usedNames, lost)
	if len(types)+1 != len(trips) { // subscriptionItem.created is not in the schema
		t.Errorf("%d types", len(types))
	}
}

// eachPayload calls f for each line of webhook-payloads.jsonl, having checked that nothing
// around the payload is lost.
func eachPayload(t *testing.T, f func(form string, raw *event.Raw)) {
	t.Helper()
	file, err := os.Open("../testdata/webhook-payloads.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Type, Form string
			Body       json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		raw, err := event.Parse(line.Body)
		if err != nil || raw.Type != line.Type {
			t.Fatalf("%s, %s: %v", line.Type, line.Form, err)
		}
		around := leaves(t, line.Body)
		for path, want := range map[string]any{"object": "event", "type": raw.Type, "instance_id": raw.InstanceID,
			"timestamp": json.Number(fmt.Sprint(raw.Timestamp.UnixMilli())), "event_attributes.http_request.client_ip": raw.ClientIP,
			"event_attributes.http_request.user_agent": raw.UserAgent} {
			if v, ok := around[path]; ok && v != want {
				t.Errorf("%s, %s: %s is %v, was %v", line.Type, line.Form, path, want, v)
			}
			delete(around, path)
		}
		for path := range around {
			if !strings.HasPrefix(path, "data.") && path != "event_attributes" { // {}
				t.Errorf("%s, %s: %s is lost", line.Type, line.Form, path)
			}
		}
		f(line.Form, raw)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// place returns where a renamed field is, and its entry in renamed, or "".
func place(path string) (old, there string) {
	for _, r := range renamed {
		before, after, ok := strings.Cut("."+path+".", "."+r.old+".")
		if ok {
			return r.old, strings.Trim(before+"."+r.new+"."+after, ".")
		}
	}
	return "", ""
}

// deprecatedName returns the entry in deprecated for a field, or "".
func deprecatedName(typ, path string) string {
	object, _, _ := strings.Cut(typ, ".")
	switch parts := strings.Split(path, "."); {
	case path == "profile_image_url", path == "user.profile_image_url":
		return "user.profile_image_url"
	case object == "paymentAttempt" && path == "invoice_id":
		return "payment.invoice_id"
	case len(parts) > 1 && strings.Join(parts[len(parts)-2:], ".") == "public_user_data.profile_image_url":
		return "public_user_data.profile_image_url"
	}
	return ""
}

// suffix returns the one of names that a path ends in, or "".
func suffix(names []string, path string) string {
	path = "." + index.ReplaceAllString(path, "[]")
	for _, name := range names {
		if strings.HasSuffix(path, "."+name) {
			return name
		}
	}
	return ""
}

// holds reports whether a path is one of those that others are in.
func holds[V any](paths map[string]V, path string) bool {
	for other := range paths {
		if strings.HasPrefix(other, path+".") || strings.HasPrefix(other, path+"[") {
			return true
		}
	}
	return false
}
