package event_test

import (
	"fmt"

	"github.com/clerkauth/clerkauth/event"
)

// delivered is an event whose signature was verified.
func delivered(text string) *event.Raw {
	e, err := event.Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return e
}

// A handler for this type is registered with clerkauth.On, like one for any other.
func ExampleCustom() {
	type apiKey struct {
		ID     string   `json:"id"`
		Scopes []string `json:"scopes"`
	}
	apiKeyCreated := event.Custom[apiKey]("apiKey.created")

	e, err := apiKeyCreated.Decode(delivered(`{"type":"apiKey.created","data":{"id":"ak_1","scopes":["reports:write"]}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Data.ID, e.Data.Scopes)
	// Output: ak_1 [reports:write]
}

func ExamplePrimaryEmail() {
	e, err := event.UserUpdated.Decode(delivered(`{"type":"user.updated","data":{"id":"user_1","primary_email_address_id":"idn_2",
		"email_addresses":[{"id":"idn_1","email_address":"old@example.com"},{"id":"idn_2","email_address":"jane@example.com"}]}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.PrimaryEmail(e.Data))
	// Output: jane@example.com
}

func ExampleFullUser() {
	e, err := event.UserUpdated.Decode(delivered(`{"type":"user.updated","data":{"id":"user_1","deprovisioned":true,
		"scim":{"directory_id":"dir_1","external_id":"00u1"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	full, err := event.FullUser(e)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(full.ID, full.Deprovisioned, full.SCIM.DirectoryID)
	// Output: user_1 true dir_1
}
