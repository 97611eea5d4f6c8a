// Package clerkconnect identifies the callers of Connect handlers and guards
// their procedures, for the Connect, gRPC and gRPC-Web protocols alike.
//
//	guard := clerkconnect.Require(auth, clerkconnect.Rules{
//		shopv1connect.ShopListProcedure:   clerkauth.Public,
//		shopv1connect.ShopRefundProcedure: clerkauth.Role("org:admin"),
//	})
//	mux.Handle(shopv1connect.NewShopHandler(shop, guard))
//
// Handlers ask who is calling with clerkauth.FromContext(ctx), and so may
// interceptors.
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

// Rules says who may call which procedures, by their full names:
// /service/method. Take the constants of generated code, for a rule with a
// misspelt name is about no procedure. Procedures without a rule are for
// [clerkauth.SignedIn].
type Rules map[string]clerkauth.Access

// Require returns an option of handlers, unary and streaming, that identifies
// callers and refuses those who may not call a procedure, as
// [clerkauth.Authenticator.Require] does, with the codes Unauthenticated,
// PermissionDenied and Unavailable. A bad session token is refused for public
// procedures, too. A stream is checked when it begins: the caller's
// Auth.ExpiresAt tells for how long that holds.
//
// What [clerkauth.Config.HideUnauthorized] hides is Unimplemented, which is what clients
// see of a procedure that is not there; the response itself is that of a handler, so it
// is hidden from clients of Connect, not from who looks at HTTP. Any other refusal
// carries an [errdetails.ErrorInfo] of the domain [ErrorDomain], and an
// [errdetails.RetryInfo] if its code is Unavailable. Unary calls of the Connect protocol
// get WWW-Authenticate (RFC 6750) and Retry-After as well, as callers of net/http do.
//
// It is a request gate: nothing of a message is read, and no interceptor runs,
// before the caller is let in. It panics on a name that is none and on an Access
// that is nil or that nobody could ever meet.
func Require(auth *clerkauth.Authenticator, rules Rules) connect.HandlerOption {
	guard := rpc.NewGuard("clerkconnect", auth, rules)
	return connect.WithRequestGate(func(ctx context.Context, spec connect.Spec, peer connect.Peer, header http.Header) (context.Context, error) {
		ctx, err := guard.Check(ctx, spec.Procedure, header) // the name in the program, not what a client has sent
		if err != nil {
			// Elsewhere a refusal is no HTTP status, and these are no metadata.
			return nil, refuse(err, peer.Protocol == connect.ProtocolConnect && spec.StreamType == connect.StreamTypeUnary)
		}
		return ctx, nil
	})
}

// ErrorDomain is the domain of the ErrorInfo in refusals. Its reason is that of the
// [clerkauth.Error] in upper snake case (TOKEN_EXPIRED); its metadata hold the reason as
// it is ("reason": "token-expired").
const ErrorDomain = rpc.ErrorDomain

// refuse returns what a caller is told of an error.
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
	told := connect.NewError(code, refusal.WithoutCause())
	detail(told, &errdetails.ErrorInfo{Reason: refusal.Reason, Domain: ErrorDomain, Metadata: refusal.Metadata})
	if refusal.RetryDelay > 0 {
		detail(told, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryDelay)})
	}
	if !plainHTTP {
		return told
	}
	told.Meta().Set("Cache-Control", "no-store")
	told.Meta().Set("Vary", "Authorization")
	if challenge := refusal.Challenge(); challenge != "" {
		told.Meta().Set("WWW-Authenticate", challenge) // RFC 9110 section 15.5.2
	}
	if refusal.RetryDelay > 0 {
		told.Meta().Set("Retry-After", strconv.Itoa(int(math.Ceil(refusal.RetryDelay.Seconds()))))
	}
	return told
}

func detail(err *connect.Error, message proto.Message) {
	if detail, wrong := connect.NewErrorDetail(message); wrong == nil {
		err.AddDetail(detail)
	}
}
