package webhook

import (
	"context"
	"log/slog"
)

// Why a delivery is refused. Callers are not told.
const (
	whyClock     = "it is too old or from the future: check the clock"
	whySignature = "no signature matches: check the secret, and that nothing changes the body on its way"
	whyJSON      = "no signature matches, and the body is well-formed JSON: check the secret, which may be of another endpoint, and that nothing decoded and re-encoded the body"
	whyEmpty     = "its body is empty: check that no middleware reads it first"
	whyRead      = "its body is empty, although it has a Content-Length: something read it first"
	whyCut       = "the body ended early"
	whyNoEvent   = "it is authentic, but not an event"
)

// Conditions that an operator has to correct.
const (
	noticeSignature = iota // no signature of a delivery matches
	noticeBody             // the body of a delivery was read or changed before
	noticeClock            // the timestamp of a delivery is far from now
	noticeEndpoint         // two endpoints share a store
	noticeCount
)

// refuse logs a refusal, and warns of conditions that last until an operator acts.
func (e *Endpoint) refuse(ctx context.Context, why string) {
	e.log.DebugContext(ctx, "clerkauth: webhook delivery refused", "why", why)
	switch why {
	case whyClock:
		e.notices.Tell(noticeClock, slog.LevelWarn, "webhook deliveries are refused because their timestamps are more than 5 minutes away: check this machine's clock")
	case whySignature:
		e.notices.Tell(noticeSignature, slog.LevelWarn, "webhook deliveries are refused because no signature matches: check that WebhookConfig.Secrets holds the signing secret of this endpoint, whsec_…, and that nothing in front of the Webhook decodes, reformats or changes the body")
	case whyJSON:
		e.notices.Tell(noticeSignature, slog.LevelWarn, "webhook deliveries are refused because no signature matches their bodies, which are well-formed JSON: either WebhookConfig.Secrets holds the signing secret, whsec_…, of another endpoint, or something in front of the Webhook decodes and re-encodes, or otherwise changes the body")
	case whyRead:
		e.notices.Tell(noticeBody, slog.LevelWarn, "webhook deliveries are refused because their body is empty, although they have a Content-Length: a middleware reads or closes the body before the Webhook does; mount the Webhook outside of middleware that logs, parses or decodes bodies")
	case whyEmpty:
		e.notices.Tell(noticeBody, slog.LevelWarn, "webhook deliveries are refused because their body is empty: check that no middleware reads or closes the body before the Webhook does")
	case whyCut:
		e.notices.Tell(noticeBody, slog.LevelWarn, "webhook deliveries are refused because their body ends early: check http.Server.ReadTimeout, and proxies that cut or change bodies")
	case whyNoEvent:
		e.notices.Tell(noticeBody, slog.LevelWarn, "webhook deliveries are refused because they are authentic, but not events of Clerk: check which application sends to this endpoint")
	}
}
