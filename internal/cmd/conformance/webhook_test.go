package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestWebhookComparisonFails: a comparison with a wrong decision about a delivery
// fails.
func TestWebhookComparisonFails(t *testing.T) {
	const accepted, refused = `{"clerk":{"ok":true,"event":{"type":"user.created"}}}`, `{"clerk":{"ok":false,"kind":"no-match"}}`
	for _, c := range []struct {
		name   string
		ours   received
		expect string
		want   class
	}{
		{"both accept", received{OK: true, Type: "user.created"}, accepted, agree},
		{"both refuse", received{}, refused, agree},
		{"both refuse, we by a rule", received{rule: ruleWebhookBytes}, refused, agree},
		{"we accept", received{OK: true, Type: "user.created"}, refused, laxer},
		{"we accept by a rule", received{OK: true, Type: "user.created", rule: ruleWebhookBytes}, refused, laxer},
		{"we refuse by a rule", received{rule: ruleWebhookBytes}, accepted, stricter},
		{"we refuse without one", received{}, accepted, unexplained},
		{"we accept another event", received{OK: true, Type: "user.deleted"}, accepted, unexplained},
		{"we accept an event of no type", received{OK: true}, accepted, unexplained},
	} {
		v, err := c.ours.compare(json.RawMessage(c.expect))
		if err != nil || v.class != c.want {
			t.Errorf("%s: %v, %v", c.name, v.class, err)
		}
	}
}

// TestWebhookDecisionLine checks the printed line of a refused delivery.
func TestWebhookDecisionLine(t *testing.T) {
	line, err := json.Marshal(&received{File: "webhook.json", ID: "x"})
	if err != nil || !strings.Contains(string(line), `"ok":false,"type":null`) {
		t.Errorf("%s %v", line, err)
	}
}
