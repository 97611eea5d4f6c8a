// Package clerkconnect authenticates calls of Connect handlers and authorizes access
// to their procedures, for the Connect, gRPC and gRPC-Web protocols.
//
//	guard := clerkconnect.Require(auth, clerkconnect.Rules{
//		shopv1connect.ShopListProcedure:   clerkauth.Public,
//		shopv1connect.ShopRefundProcedure: clerkauth.Role("org:admin"),
//	})
//	mux.Handle(shopv1connect.NewShopHandler(shop, guard))
//
// Handlers and interceptors find the caller with clerkauth.FromContext(ctx).
//
// Callers present a token as Authorization: Bearer. Browsers may also call with the cookies
// of their session, if the handlers are inside of [clerkauth.Authenticator.Handler], which
// authenticates and renews those:
//
//	http.ListenAndServe(addr, auth.Handler(mux))
//
// Require believes what Handler has found out, and no cookie without it. Calls with cookies
// that a page of another site may have caused are refused. Handler itself responds to an
// invalid bearer token, with status 401.
package clerkconnect

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/rpc"
)

// Rules maps procedures, by their full names (/service/method), to requirements on
// their callers. Procedures without a rule require [clerkauth.SignedIn]. Use the
// constants of generated code: a rule with a misspelled name applies to no procedure.
type Rules map[string]clerkauth.Access

// Require returns an option for handlers, unary and streaming, that authenticates
// calls and rejects those that do not satisfy the procedure's rule, with the codes
// Unauthenticated, PermissionDenied and Unavailable. An invalid session token of the
// instance is rejected on public procedures, too. A stream is authorized when it
// begins, and not again when the caller's Auth.ExpiresAt passes.
//
// Refusals hidden by [clerkauth.Config.HideUnauthorized] have the code Unimplemented,
// which clients also get for procedures that do not exist. The HTTP response differs
// from that of such a procedure: the refusal is hidden from Connect clients only. Any
// other refusal carries an [errdetails.ErrorInfo] with the domain [ErrorDomain], and an
// [errdetails.RetryInfo] if its code is Unavailable. Responses to unary calls of the
// Connect protocol also have WWW-Authenticate (RFC 6750) and Retry-After.
//
// The option is a request gate: before the call is authorized no message is read and no
// interceptor runs. Require panics if a name is not of the form /service/method, or if
// an Access is nil or can never be satisfied. It copies rules.
func Require(auth *clerkauth.Authenticator, rules Rules) connect.HandlerOption {
	guard := rpc.NewGuard("clerkconnect", auth, rules)
	return connect.WithRequestGate(func(ctx context.Context, spec connect.Spec, peer connect.Peer, header http.Header) (context.Context, error) {
		ctx, err := guard.Check(ctx, spec.Procedure, header) // the name in the program, not the one that a client sent
		if err != nil {
			// In streams and in other protocols refusals have no HTTP status, and the
			// headers would become metadata.
			return nil, refuse(err, peer.Protocol == connect.ProtocolConnect && spec.StreamType == connect.StreamTypeUnary)
		}
		return ctx, nil
	})
}

// ErrorDomain is the domain of the ErrorInfo in refusals. The ErrorInfo's reason is
// that of the [clerkauth.Error] in upper snake case (TOKEN_EXPIRED); its metadata have
// the reason unchanged ("reason": "token-expired").
const ErrorDomain = rpc.ErrorDomain

// refuse returns the error to send to the caller for an error of Guard.Check.
// plainHTTP reports whether it becomes an ordinary HTTP response.
func refuse(err error, plainHTTP bool) error {
	refusal := rpc.RefusalOf(err)
	switch {
	case refusal == nil:
		return err
	case refusal.Hidden:
		return connect.NewError(connect.CodeUnimplemented, errors.New("404 Not Found"))
	}
	code := cmp.Or(map[int]connect.Code{
		401: connect.CodeUnauthenticated, 403: connect.CodePermissionDenied, 503: connect.CodeUnavailable,
	}[refusal.Status], connect.CodeInternal)
	sent := connect.NewError(code, refusal.WithoutCause())
	detail(sent, &errdetails.ErrorInfo{Reason: refusal.Reason, Domain: ErrorDomain, Metadata: refusal.Metadata})
	if refusal.RetryDelay > 0 {
		detail(sent, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryDelay)})
	}
	if !plainHTTP {
		return sent
	}
	sent.Meta().Set("Cache-Control", "no-store")
	sent.Meta()["Vary"] = refusal.Header()["Vary"]
	if challenge := refusal.Challenge(); challenge != "" {
		sent.Meta().Set("WWW-Authenticate", challenge) // RFC 9110 section 15.5.2
	}
	if refusal.RetryDelay > 0 {
		sent.Meta().Set("Retry-After", strconv.Itoa(int(math.Ceil(refusal.RetryDelay.Seconds()))))
	}
	return sent
}

// detail adds message to the details of err.
func detail(err *connect.Error, message proto.Message) {
	if detail, wrong := connect.NewErrorDetail(message); wrong == nil {
		err.AddDetail(detail)
	}
}
