// Package clerkgrpc authenticates calls of a gRPC server and authorizes access to
// its methods.
//
//	unary, stream := clerkgrpc.Interceptors(auth, clerkgrpc.Rules{
//		healthpb.Health_Check_FullMethodName: clerkauth.Public,
//		shoppb.Shop_Refund_FullMethodName:    clerkauth.Role("org:admin"),
//	})
//	s := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
//
// Handlers find the caller with clerkauth.FromContext(ctx), those of streams with
// clerkauth.FromContext(stream.Context()).
package clerkgrpc

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/rpc"
)

// Rules maps methods, by their full names (/service/method), to requirements on their
// callers. Methods without a rule require [clerkauth.SignedIn]. Use the constants of
// generated code: a rule with a misspelled name applies to no method.
type Rules map[string]clerkauth.Access

// Interceptors returns interceptors that authenticate calls by their authorization
// metadata and reject those that do not satisfy the method's rule, with the codes
// Unauthenticated, PermissionDenied and Unavailable. An invalid session token of the
// instance is rejected on public methods, too. A stream is authorized when it begins,
// and not again when the caller's Auth.ExpiresAt passes. A server needs both
// interceptors: each one leaves the other kind of method unguarded.
//
// Refusals hidden by [clerkauth.Config.HideUnauthorized] have the code Unimplemented,
// like calls of a method that the service does not have. Any other refusal carries an
// [errdetails.ErrorInfo] with the domain [ErrorDomain], and an [errdetails.RetryInfo]
// if its code is Unavailable.
//
// Interceptors panics if a name is not of the form /service/method, or if an Access is
// nil or can never be satisfied. It copies rules.
func Interceptors(auth *clerkauth.Authenticator, rules Rules) (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor) {
	guard := rpc.NewGuard("clerkgrpc", auth, rules)
	check := func(ctx context.Context, method string) (context.Context, error) {
		// The name is the client's, and some versions of grpc-go serve it without its
		// leading slash, too. Cookies are left out: they are for browsers, which do not
		// speak gRPC.
		ctx, err := guard.Check(ctx, "/"+strings.TrimPrefix(method, "/"), http.Header{
			"Authorization": metadata.ValueFromIncomingContext(ctx, "authorization"),
		})
		return ctx, statusOf(err, method)
	}
	unary := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, err := check(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
	stream := func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := check(s.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		return handler(srv, identified{s, ctx})
	}
	return unary, stream
}

// identified is a stream whose context carries the caller.
type identified struct {
	grpc.ServerStream
	ctx context.Context
}

func (s identified) Context() context.Context { return s.ctx }

// ErrorDomain is the domain of the ErrorInfo in refusals. The ErrorInfo's reason is
// that of the [clerkauth.Error] in upper snake case (TOKEN_EXPIRED); its metadata have
// the reason unchanged ("reason": "token-expired").
const ErrorDomain = rpc.ErrorDomain

// statusOf returns the error to send to the caller for an error of Guard.Check, or
// nil.
func statusOf(err error, method string) error {
	refusal := rpc.RefusalOf(err)
	switch {
	case refusal == nil:
		return err
	case refusal.Hidden: // as grpc-go responds for an unknown method
		service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
		return status.Errorf(codes.Unimplemented, "unknown method %v for service %v", name, service)
	}
	code := map[int]codes.Code{401: codes.Unauthenticated, 403: codes.PermissionDenied, 503: codes.Unavailable}[refusal.Status]
	sent := status.New(cmp.Or(code, codes.Internal), refusal.WithoutCause().Error())
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: refusal.Reason, Domain: ErrorDomain, Metadata: refusal.Metadata}}
	if refusal.RetryDelay > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryDelay)})
	}
	if detailed, err := sent.WithDetails(details...); err == nil {
		sent = detailed
	}
	return sent.Err()
}
