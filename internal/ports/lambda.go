package ports

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/clerkauth/clerkauth"
)

type (
	lambdaRequest  = events.APIGatewayV2HTTPRequest
	lambdaResponse = events.APIGatewayV2HTTPResponse
)

// newFunction returns a function for lambda.Start.
func newFunction(c clerkauth.Config) (func(context.Context, lambdaRequest) (lambdaResponse, error), error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) (lambdaResponse, error) {
		refusal, ok := errors.AsType[*clerkauth.Error](err)
		if !ok {
			return lambdaResponse{}, err
		}
		headers := map[string]string{"Cache-Control": "no-store"}
		if refusal.RetryAfter > 0 {
			headers["Retry-After"] = strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds())))
		}
		return lambdaResponse{StatusCode: refusal.Status, Headers: headers, Body: string(refusal.Reason)}, nil
	}
	check := func(ctx context.Context, e lambdaRequest) (context.Context, error) {
		token, _ := strings.CutPrefix(e.Headers["authorization"], "Bearer ")
		return auth.CheckToken(ctx, token, clerkauth.Permission("org:invoices:create"))
	}
	// end
	return func(ctx context.Context, e lambdaRequest) (lambdaResponse, error) {
		ctx, err := check(ctx, e)
		if err != nil {
			return refuse(err)
		}
		return lambdaResponse{StatusCode: 200, Body: "hello " + clerkauth.FromContext(ctx).UserID}, nil
	}, nil
}
