package awscall

import (
	"context"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// Count tells observe of each request that was sent, retries too: the
// middleware stands inside the SDK's retries and signing, around the sending and
// the reading of the answer. The service is the SDK's name for it in lower case
// ("sqs", "cloudwatch"), the result one of the [Result] values.
func Count(observe func(service, operation, result string)) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("HeadroomCountRequests",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleDeserialize(ctx, in)
				observe(strings.ToLower(awsmiddleware.GetServiceID(ctx)), awsmiddleware.GetOperationName(ctx), string(ResultOf(err)))
				return out, metadata, err
			}), middleware.Before)
	}
}
