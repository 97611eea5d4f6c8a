package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/event"
)

func TestParse(t *testing.T) {
	const text = ` {"data":{"id":"user_1","new":[1]},"event_attributes":{"http_request":{"client_ip":"203.0.113.9","user_agent":"x"}},
		"instance_id":"ins_1","object":"event","timestamp":1654012591835,"type":"user.created","new":{"a":1}}` + "\n"
	e, err := event.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := event.Raw{Type: "user.created", InstanceID: "ins_1", Timestamp: time.UnixMilli(1654012591835),
		ClientIP: "203.0.113.9", UserAgent: "x", Data: json.RawMessage(`{"id":"user_1","new":[1]}`), JSON: []byte(text)}
	if !reflect.DeepEqual(*e, want) {
		t.Errorf("%+v", e)
	}
	typed, err := event.UserCreated.Decode(e)
	if err != nil || typed.Data.ID != "user_1" || typed.InstanceID != "ins_1" || !reflect.DeepEqual(typed.Raw, want) {
		t.Errorf("%v %+v", err, typed)
	}
}

func TestParseIgnoresMalformedOptionalMembers(t *testing.T) {
	for _, text := range []string{
		`{"type":"x.y"}`,
		`{"type":"x.y","data":null,"timestamp":"now","instance_id":7,"event_attributes":[]}`,
		`{"type":"x.y","timestamp":-1,"event_attributes":{"http_request":"x"}}`,
		`{"type":"x.y","timestamp":1e300,"event_attributes":{"http_request":{"client_ip":1,"user_agent":[]}}}`,
		`{"type":"x.y","Type":"user.created","DATA":{},"Timestamp":1654012591835,"Instance_ID":"ins_1"}`,
	} {
		e, err := event.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if e.Type != "x.y" || !e.Timestamp.IsZero() || e.InstanceID+e.ClientIP+e.UserAgent != "" {
			t.Errorf("%s: %+v", text, e)
		}
	}
	for text, want := range map[string]int64{"1654012591835": 1654012591835, "1654012591": 1654012591000, "1654012591835.0": 1654012591835} {
		e, err := event.Parse([]byte(`{"type":"x.y","timestamp":` + text + `}`))
		if err != nil || e.Timestamp.UnixMilli() != want {
			t.Errorf("%s: %v %v", text, err, e)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", 10_000)
	for _, text := range []string{
		"", " ", "null", "7", `"x"`, "[]", `[{"type":"x.y"}]`, "false", "{}", `{"type":7}`, `{"type":null}`, `{"type":""}`, `{"type":{}}`,
		`{"type":"a","type":"b"}`, `{"type":"a","t\u0079pe":"b"}`, `{"type":"a","data":1,"data":2}`, `{"type":"a","x":1,"x":1}`,
		`{"type":"a"`, `{"type":"a"}}`, `{"type":"a"} {}`, `{"type":"a"},`, `{"type":"a",}`, `{type:"a"}`, `{"type":'a'}`, `{"type":"a" "b":1}`,
		"\ufeff" + `{"type":"a"}`, "{\"type\":\"a\xff\"}", "{\"type\":\"a\n\"}", `{"type":"\x"}`, `{"Type":"a"}`,
		deep, `{"type":"a","data":` + deep, `{"type":"a","data":` + deep + strings.Repeat("]", 10_000) + `}`,
	} {
		if e, err := event.Parse([]byte(text)); !errors.Is(err, event.ErrMalformed) || e != nil {
			t.Errorf("%.40q: %v, %t", text, err, e == nil)
		}
	}
}

// TestDeepMetadataArrives: users may write metadata of their own, and deep or
// invalid metadata must not prevent an event from being parsed.
func TestDeepMetadataArrives(t *testing.T) {
	deep := strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000)
	e, err := event.Parse([]byte(`{"type":"user.updated","data":{"id":"user_1","unsafe_metadata":` + deep + `,"public_metadata":{"a":1,"a":2,"x":"\ud800"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	typed, err := event.UserUpdated.Decode(e)
	if err != nil || string(typed.Data.UnsafeMetadata) != deep {
		t.Error(err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const secret = "4711471147114711"
	for _, text := range []string{
		`{"type":"user.updated","data":{"id":"user_1"}}`,
		`{"type":"user.created"}`,
		`{"type":"user.created","data":null}`,
		`{"type":"user.created","data":[` + secret + `]}`,
		`{"type":"user.created","data":"` + secret + `"}`,
		`{"type":"user.created","data":{"id":` + secret + `}}`,
		`{"type":"user.created","data":{"banned":"` + secret + `"}}`,
		`{"type":"user.created","data":{"created_at":` + secret + `.5}}`,
		`{"type":"user.created","data":{"email_addresses":[{"id":` + secret + `}]}}`,
	} {
		e, err := event.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		typed, err := event.UserCreated.Decode(e)
		if !errors.Is(err, event.ErrMalformed) || typed != nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", text, err)
		}
	}
	var none event.Type[clerk.User]
	if _, err := none.Decode(&event.Raw{Data: json.RawMessage(`{}`)}); !errors.Is(err, event.ErrMalformed) {
		t.Errorf("no type: %v", err)
	}
}

func TestNames(t *testing.T) {
	groups := map[string]string{
		"user": "created updated deleted", "session": "created pending ended removed revoked", "email": "created", "sms": "created",
		"organization": "created updated deleted", "organizationDomain": "created updated deleted",
		"organizationMembership": "created updated deleted", "organizationInvitation": "created accepted revoked",
		"role": "created updated deleted", "permission": "created updated deleted", "waitlistEntry": "created updated",
		"paymentAttempt": "created updated", "subscription": "created updated active pastDue",
		"subscriptionItem": "created updated active canceled upcoming ended abandoned incomplete pastDue freeTrialEnding",
	}
	var want []string
	for group, verbs := range groups {
		for verb := range strings.FieldsSeq(verbs) {
			want = append(want, group+"."+verb)
		}
	}
	slices.Sort(want)
	if got := event.Names(); !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	for _, name := range want {
		if named, err := event.Named(name); err != nil || named.Name() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamedRefuses(t *testing.T) {
	for _, name := range []string{"", "x", "User.Created", "user.create", "completely.different", strings.Repeat("user.created", 99)} {
		if named, err := event.Named(name); err == nil || named.Name() != "" || len(err.Error()) > 300 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// decode decodes a payload as an event of type typ.
func decode[T any](t *testing.T, typ event.Type[T], data string) T {
	t.Helper()
	e, err := event.Parse([]byte(fmt.Sprintf(`{"type":%q,"data":%s}`, typ.Name(), data)))
	if err != nil {
		t.Fatal(err)
	}
	typed, err := typ.Decode(e)
	if err != nil {
		t.Fatal(err)
	}
	if string(typed.Raw.Data) != data {
		t.Errorf("the payload's JSON is not kept: %s", typed.Raw.Data)
	}
	return typed.Data
}

func TestPayloads(t *testing.T) {
	s := decode(t, event.SessionCreated, `{"id":"sess_1","user_id":"user_1","status":"active","actor":null,"latest_activity":null,
		"last_active_organization_id":null,"expire_at":2,"user":{"id":"user_1","first_name":"Jane","created_at":1}}`)
	if s.ID != "sess_1" || s.UserID != "user_1" || s.ExpireAt != 2 || s.User == nil || *s.User.FirstName != "Jane" {
		t.Errorf("%+v", s)
	}
	if s := decode(t, event.SessionRevoked, `{"id":"sess_1","user":null}`); s.ID != "sess_1" || s.User != nil {
		t.Errorf("%+v", s)
	}
	d := decode(t, event.UserDeleted, `{"id":"user_1","object":"user","deleted":true,"external_id":"7"}`)
	if d.ID != "user_1" || d.Object != "user" || !d.Deleted || *d.ExternalID != "7" || d.Slug != nil {
		t.Errorf("%+v", d)
	}
	if d := decode(t, event.OrganizationDeleted, `{"id":"org_1","object":"organization","slug":"acme","deleted":true}`); *d.Slug != "acme" {
		t.Errorf("%+v", d)
	}
	m := decode(t, event.OrganizationMembershipDeleted, `{"id":"orgmem_1","role":"org:member","organization":{"id":"org_1"},"public_user_data":{"user_id":"user_1"}}`)
	if m.ID != "orgmem_1" || m.Organization.ID != "org_1" || m.PublicUserData.UserID != "user_1" {
		t.Errorf("%+v", m)
	}
	if m := decode(t, event.OrganizationMembershipDeleted, `{"id":"orgmem_1","object":"organization_membership","deleted":true}`); m.ID != "orgmem_1" || !m.Deleted {
		t.Errorf("%+v", m)
	}
	i := decode(t, event.OrganizationInvitationAccepted, `{"id":"orginv_1","organization_id":"org_1","inviter_id":"user_1","user_id":"user_2"}`)
	if i.ID != "orginv_1" || i.OrganizationID != "org_1" || *i.InviterID != "user_1" || i.UserID != "user_2" {
		t.Errorf("%+v", i)
	}
	dom := decode(t, event.OrganizationDomainCreated, `{"id":"orgdmn_1","name":"acme.com","verification":{"status":"verified","attempts":1,"expire_at":null},"public_organization_data":{"slug":"acme"}}`)
	if dom.Name != "acme.com" || dom.Verification.Attempts != 1 || dom.PublicOrganizationData.Slug != "acme" {
		t.Errorf("%+v", dom)
	}
	mail := decode(t, event.EmailCreated, `{"id":"ema_1","slug":"verification_code","to_email_address":"jane@example.com","data":{"otp_code":"424242"},"delivered_by_clerk":false}`)
	if *mail.Slug != "verification_code" || mail.ToEmailAddress != "jane@example.com" || string(mail.Data) != `{"otp_code":"424242"}` || mail.DeliveredByClerk {
		t.Errorf("%+v", mail)
	}
	sms := decode(t, event.SMSCreated, `{"id":"sms_1","to_phone_number":"+15555550100","message":"hello","user_id":null,"delivered_by_clerk":true}`)
	if sms.ToPhoneNumber != "+15555550100" || sms.Message != "hello" || !sms.DeliveredByClerk {
		t.Errorf("%+v", sms)
	}
	w := decode(t, event.WaitlistEntryCreated, `{"id":"wle_1","email_address":"jane@example.com","invitation":null}`)
	if w.EmailAddress != "jane@example.com" {
		t.Errorf("%+v", w)
	}
	r := decode(t, event.RoleUpdated, `{"id":"role_1","key":"org:admin","description":null,"permissions":[{"key":"org:a:b"}]}`)
	if r.Key != "org:admin" || r.Permissions[0].Key != "org:a:b" {
		t.Errorf("%+v", r)
	}
}

func TestBillingPayloads(t *testing.T) {
	const fee = `{"amount":2000,"amount_formatted":"$20.00","currency":"USD","currency_symbol":"$"}`
	p := decode(t, event.PaymentAttemptUpdated, `{"id":"pa_1","status":"failed","failed_at":7,"failed_reason":{"code":"card_declined","decline_code":"x"},
		"payer":{"id":"cpayer_1","user_id":"user_1","organization_id":null},"payee":{"gateway_type":"stripe"},"totals":{"grand_total":`+fee+`},
		"payment_method_id":"pm_1","payment_method":{"id":"pm_1","payment_type":"card","last4":null},
		"subscription_items":[{"id":"csub_item_1","plan":{"slug":"pro","fee":`+fee+`},"lifetime_paid":`+fee+`}]}`)
	if *p.FailedAt != 7 || p.FailedReason.Code != "card_declined" || *p.Payer.UserID != "user_1" || p.Totals.GrandTotal.Amount != 2000 ||
		*p.PaymentMethodID != "pm_1" || p.PaymentMethod.PaymentType != "card" {
		t.Errorf("%+v", p)
	}
	if i := p.SubscriptionItems[0]; i.Plan.Slug != "pro" || i.Plan.Fee.Amount != 2000 || i.LifetimePaid.Currency != "USD" {
		t.Errorf("%+v", i)
	}
	s := decode(t, event.SubscriptionActive, `{"id":"csub_1","status":"active","active_at":7,"payer":{"organization_id":"org_1"},"payment_method_id":null,
		"items":[{"id":"csub_item_1","interval":"month","is_free_trial":true,"period_start":1,"plan":null,"subscription_id":null}]}`)
	if *s.ActiveAt != 7 || *s.Payer.OrganizationID != "org_1" || s.PaymentMethodID != nil || s.Items[0].Interval != "month" || !s.Items[0].IsFreeTrial {
		t.Errorf("%+v", s)
	}
	if i := decode(t, event.SubscriptionItemPastDue, `{"id":"csub_item_1","status":"past_due","past_due_at":7,"subscription_id":"csub_1","credit":{"amount":`+fee+`,"cycle_remaining_percent":0.5}}`); *i.PastDueAt != 7 || *i.SubscriptionID != "csub_1" || i.Credit.CycleRemainingPercent != 0.5 {
		t.Errorf("%+v", i)
	}
}

func TestOlderBillingPayloads(t *testing.T) {
	p := decode(t, event.PaymentAttemptCreated, `{"id":"pa_1","payment_source_id":"cps_1","payment_source":{"id":"cps_1","payment_method":"card","last4":"4242"},
		"subscription_items":[{"id":"csub_item_1","lifetime_paid":10000,"next_payment_amount":2000,"plan":{"slug":"pro","amount":2000,"currency":"USD"}}]}`)
	if *p.PaymentMethodID != "cps_1" || p.PaymentMethod.PaymentType != "card" || p.PaymentMethod.Last4 != "4242" || p.ID != "pa_1" {
		t.Errorf("%+v", p)
	}
	if i := p.SubscriptionItems[0]; i.LifetimePaid.Amount != 10000 || i.Plan.Slug != "pro" || i.Plan.Fee.Amount != 2000 || i.Plan.Fee.Currency != "USD" || i.ID != "csub_item_1" ||
		i.NextPayment.Amount.Amount != 2000 || i.NextPayment.Date != nil {
		t.Errorf("%+v", i)
	}
	for _, amounts := range []string{
		`"amount":2000,"next_payment_amount":2000,"next_payment_date":7`,
		`"amount":{"amount":2000},"next_payment":{"amount":2000,"date":7}`,
		`"amount":{"amount":2000},"next_payment":{"amount":{"amount":2000,"currency":"USD"},"date":7,"totals":{}}`,
	} {
		i := decode(t, event.SubscriptionItemActive, `{"id":"csub_item_1","payment_source_id":"cps_1",`+amounts+`}`)
		if i.Amount.Amount != 2000 || i.NextPayment.Amount.Amount != 2000 || *i.NextPayment.Date != 7 || i.PaymentMethodID != "cps_1" {
			t.Errorf("%s: %+v", amounts, i)
		}
	}
	if s := decode(t, event.SubscriptionPastDue, `{"id":"csub_1","payment_source_id":"cps_1"}`); *s.PaymentMethodID != "cps_1" || s.ID != "csub_1" {
		t.Errorf("%+v", s)
	}
}
