package check

import (
	"errors"
	"fmt"

	"github.com/keda-headroom/headroom/metrics/awscall"
)

// hint says what to do about a reading that failed.
func hint(source string, err error) string {
	var e *awscall.Error
	if !errors.As(err, &e) {
		return "correct the queue in its policy; headroom lint says where it stands"
	}
	switch e.Result {
	case awscall.ResultDenied:
		return "docs/queues.md#permissions has the statement. What you are allowed here need not be what Headroom's role is allowed"
	case awscall.ResultCredentials:
		return "give this shell the role that Headroom runs with, or one like it: AWS_PROFILE, or aws sso login"
	case awscall.ResultNotFound:
		return "compare the policy's queue with aws sqs list-queues in that region and account"
	case awscall.ResultThrottled:
		return "raise pollInterval, or set idlePollInterval, where many queues are read"
	case awscall.ResultTimeout, awscall.ResultUnreachable, awscall.ResultCanceled:
		return fmt.Sprintf("is there a way to %s from here: a proxy, a VPC endpoint, a NetworkPolicy in between?", map[string]string{"sqs": "SQS", "cloudwatch": "CloudWatch"}[source])
	case awscall.ResultServerError:
		return "try again; https://health.aws.amazon.com says whether others see it too"
	case awscall.ResultBadAnswer:
		return "check endpoint in the policy, and AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_CLOUDWATCH"
	case awscall.ResultOK, awscall.ResultRefused:
	}
	return "the service's own words say why"
}
