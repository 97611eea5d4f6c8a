// Package clerkgrpc identifies the callers of a gRPC server and guards its
// methods.
//
//	unary, stream := clerkgrpc.Interceptors(auth, clerkgrpc.Rules{
//		healthpb.Health_Check_FullMethodName: clerkauth.Public,
//		shoppb.Shop_Refund_FullMethodName:    clerkauth.Role("org:admin"),
//	})
//	s := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
//
// Handlers ask who is calling with clerkauth.FromContext(ctx), those of streams
// with clerkauth.FromContext(stream.Context()).
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

// Rules says who may call which methods, by their full names: /service/method.
// Take the constants of generated code, for a rule with a misspelt name is about
// no method. Methods without a rule are for [clerkauth.SignedIn].
type Rules map[string]clerkauth.Access

// Interceptors returns what identifies callers by the metadata authorization and
// refuses those who may not call a method, as [clerkauth.Authenticator.Require]
// does, with the codes Unauthenticated, PermissionDenied and Unavailable. A bad
// session token is refused for public methods, too. A stream is checked when it
// begins: the caller's Auth.ExpiresAt tells for how long that holds.
//
// What [clerkauth.Config.HideUnauthorized] hides is Unimplemented, as a method is that
// the service does not have. Any other refusal carries an [errdetails.ErrorInfo] of the domain [ErrorDomain], and an
// [errdetails.RetryInfo] if its code is Unavailable.
//
// It returns both kinds, so that neither is forgotten, and panics on a name that
// is none and on an Access that is nil or that nobody could ever meet.
func Interceptors(auth *clerkauth.Authenticator, rules Rules) (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor) {
	guard := rpc.NewGuard("clerkgrpc", auth, rules)
	check := func(ctx context.Context, method string) (context.Context, error) {
		// A client writes the name; without its slash it is no other method's. No cookies:
		// browsers, which send them unasked, speak no gRPC.
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

// identified is a stream whose caller is known.
type identified struct {
	grpc.ServerStream
	ctx context.Context
}

func (s identified) Context() context.Context { return s.ctx }

// ErrorDomain is the domain of the ErrorInfo in refusals. Its reason is that of the
// [clerkauth.Error] in upper snake case (TOKEN_EXPIRED); its metadata hold the reason as
// it is ("reason": "token-expired").
const ErrorDomain = rpc.ErrorDomain

// statusOf returns what a caller is told of an error, or nil.
func statusOf(err error, method string) error {
	refusal := rpc.RefusalOf(err)
	switch {
	case refusal == nil:
		return err
	case refusal.Hidden: // as grpc-go answers for a method that is not there
		service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
		return status.Errorf(codes.Unimplemented, "unknown method %v for service %v", name, service)
	}
	code := map[int]codes.Code{401: codes.Unauthenticated, 403: codes.PermissionDenied, 503: codes.Unavailable}[refusal.Status]
	told := status.New(cmp.Or(code, codes.Internal), refusal.WithoutCause().Error())
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: refusal.Reason, Domain: ErrorDomain, Metadata: refusal.Metadata}}
	if refusal.RetryDelay > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryDelay)})
	}
	if detailed, err := told.WithDetails(details...); err == nil {
		told = detailed
	}
	return told.Err()
}
