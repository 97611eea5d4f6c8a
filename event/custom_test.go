package event_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/event"
)

func TestCustom(t *testing.T) {
	type payload struct {
		ID     string   `json:"id"`
		Scopes []string `json:"scopes"`
	}
	if p := decode(t, event.Custom[payload]("apiKey.created"), `{"id":"ak_1","scopes":["a"]}`); p.ID != "ak_1" || !slices.Equal(p.Scopes, []string{"a"}) {
		t.Errorf("%+v", p)
	}
	if p := decode(t, event.Custom[payload]("user.created"), `{"id":"user_1"}`); p.ID != "user_1" {
		t.Errorf("a payload type of one's own: %+v", p)
	}
	if m := decode(t, event.Custom[map[string]any]("x.y"), `{"id":"x"}`); m["id"] != "x" {
		t.Errorf("%v", m)
	}
	if event.Custom[clerk.User]("user.created") != event.UserCreated || slices.Contains(event.Names(), "apiKey.created") {
		t.Error("Custom makes another type of a name that is known, or adds a name")
	}
	for _, raw := range []*event.Raw{
		{Type: "user.created", Data: json.RawMessage(`{"id":"x"}`)},
		{Type: "apiKey.created", Data: json.RawMessage(`{"id":7}`)},
		{Type: "apiKey.created"},
		{Data: json.RawMessage(`{}`)},
	} {
		if e, err := event.Custom[payload]("apiKey.created").Decode(raw); !errors.Is(err, event.ErrMalformed) || e != nil {
			t.Errorf("%+v: %v", raw, err)
		}
	}
	if _, err := event.Custom[payload]("").Decode(&event.Raw{Data: json.RawMessage(`{}`)}); !errors.Is(err, event.ErrMalformed) {
		t.Errorf("no name: %v", err)
	}
}

func TestPrimaryEmail(t *testing.T) {
	user := decode(t, event.UserCreated, `{"primary_email_address_id":"idn_2","email_addresses":[null,
		{"id":"idn_1","email_address":"old@example.com"},{"id":"idn_2","email_address":"jane@example.com"}]}`)
	if got := event.PrimaryEmail(user); got != "jane@example.com" {
		t.Errorf("%q", got)
	}
	for _, none := range []string{`{}`, `{"primary_email_address_id":null,"email_addresses":[{"id":"","email_address":"x@example.com"}]}`,
		`{"primary_email_address_id":"idn_1"}`, `{"primary_email_address_id":"idn_1","email_addresses":[{"id":"idn_2","email_address":"x@example.com"}]}`} {
		if got := event.PrimaryEmail(decode(t, event.UserCreated, none)); got != "" {
			t.Errorf("%s: %q", none, got)
		}
	}
}

// TestUsersAgree: the clerk.User that a handler gets is the one in the full user, which has
// the lists of the SDK's type as well.
func TestUsersAgree(t *testing.T) {
	users := 0
	eachPayload(t, func(form string, raw *event.Raw) {
		if raw.Type != event.UserCreated.Name() {
			return
		}
		users++
		e, err := event.UserCreated.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		full, err := event.FullUser(e)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(full.User, e.Data) {
			t.Errorf("%s: the users differ:\n%+v\n%+v", form, full.User, e.Data)
		}
		direct, err := event.Custom[event.User](raw.Type).Decode(raw)
		if err != nil || !reflect.DeepEqual(&direct.Data, full) {
			t.Errorf("%s: the full users differ: %v", form, err)
		}
		for i, m := range full.OrganizationMemberships {
			if full.User.OrganizationMemberships[i] != &m.OrganizationMembership || m.OrganizationMembership.Organization != &m.Organization.Organization ||
				m.OrganizationMembership.PublicUserData != &m.PublicUserData.OrganizationMembershipPublicUserData {
				t.Errorf("%s: the membership is another", form)
			}
		}
	})
	if users < 3 {
		t.Errorf("%d users", users)
	}
	var e event.Event[clerk.User]
	if full, err := event.FullUser(&e); !errors.Is(err, event.ErrMalformed) || full != nil {
		t.Errorf("without JSON: %v", err)
	}
}

// TestConnections: a connection of the form that the SDK expects is in its type as well. One
// of another form does not keep the user from being read.
func TestConnections(t *testing.T) {
	const connections = `{"saml_accounts":[null,{"id":"saml_1","saml_connection":{"id":"samlc_1","new":1}}],"enterprise_accounts":[{"enterprise_connection":{"name":"Acme"}}]}`
	u := decode(t, event.Custom[event.User]("user.updated"), connections)
	if a := u.SAMLAccounts[1]; a.SAMLConnection.ID != "samlc_1" || string(a.Connection) != `{"id":"samlc_1","new":1}` || u.User.SAMLAccounts[0] != nil || u.User.SAMLAccounts[1] != &a.SAMLAccount {
		t.Errorf("%+v", a)
	}
	if a := u.EnterpriseAccounts[0]; a.EnterpriseConnection.Name != "Acme" || string(a.Connection) != `{"name":"Acme"}` {
		t.Errorf("%+v", a)
	}
	if u := decode(t, event.UserUpdated, connections); u.SAMLAccounts[1].SAMLConnection.ID != "samlc_1" || u.EnterpriseAccounts[0].EnterpriseConnection.Name != "Acme" {
		t.Errorf("%+v", u)
	}
	if u := decode(t, event.UserUpdated, `{"id":"user_1","saml_accounts":[{"id":"saml_1","saml_connection":"samlc_1"}]}`); u.ID != "user_1" || u.SAMLAccounts[0].ID != "saml_1" || u.SAMLAccounts[0].SAMLConnection != nil {
		t.Errorf("%+v", u)
	}
}

// TestEmbeddedPayloads: what the SDK's types inside of ours share with them is the same.
func TestEmbeddedPayloads(t *testing.T) {
	m := decode(t, event.OrganizationMembershipDeleted, `{"id":"orgmem_1","deleted":true,"organization":{"id":"org_1","last_active_at":7},"public_user_data":{"user_id":"user_1","banned":true}}`)
	sdk := m.OrganizationMembership.OrganizationMembership
	if !m.Deleted || *m.Organization.LastActiveAt != 7 || !m.PublicUserData.Banned || sdk.ID != "orgmem_1" || sdk.Organization.ID != "org_1" || sdk.PublicUserData.UserID != "user_1" {
		t.Errorf("%+v", m)
	}
	d := decode(t, event.OrganizationDomainUpdated, `{"verification":{"status":"verified","verified_at":7}}`)
	if *d.Verification.VerifiedAt != 7 || d.OrganizationDomain.Verification.Status != "verified" || d.OwnershipVerification != nil {
		t.Errorf("%+v", d)
	}
	i := decode(t, event.SubscriptionItemUpdated, `{"plan":{"slug":"pro","amount":2000,"currency":"USD","unit_prices":[{"name":"seats"}]},"seats":{"quantity":3}}`)
	if i.Plan.UnitPrices[0].Name != "seats" || i.SubscriptionItem.Plan.Slug != "pro" || i.SubscriptionItem.Plan.Fee.Amount != 2000 || *i.Seats.Quantity != 3 {
		t.Errorf("%+v", i)
	}
	for _, nothing := range []string{`{}`, `{"organization":null,"public_user_data":null,"plan":null,"verification":null,"external_accounts":null}`} {
		if m := decode(t, event.OrganizationMembershipCreated, nothing); m.Organization != nil || m.OrganizationMembership.Organization != nil || m.OrganizationMembership.PublicUserData != nil {
			t.Errorf("%+v", m)
		}
		if u := decode(t, event.Custom[event.User]("user.created"), nothing); u.ExternalAccounts != nil || u.User.ExternalAccounts != nil {
			t.Errorf("%+v", u)
		}
	}
}
