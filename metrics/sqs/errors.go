package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Result says in one word how a request ended, for metrics.
type Result string

// What a request can end in.
const (
	ResultOK          Result = "ok"
	ResultDenied      Result = "denied"       // the caller may not do this
	ResultCredentials Result = "credentials"  // there are none, or they were not accepted
	ResultNotFound    Result = "not_found"    // there is no such queue
	ResultThrottled   Result = "throttled"    // asked too often
	ResultTimeout     Result = "timeout"      // no answer in time
	ResultCanceled    Result = "canceled"     // whoever asked no longer wants to know
	ResultUnreachable Result = "unreachable"  // no connection, or it broke
	ResultServerError Result = "server_error" // the service's own fault (5xx)
	ResultBadAnswer   Result = "bad_answer"   // not an answer of SQS
	ResultRefused     Result = "refused"      // any other error of the service
)

// Error says why a queue could not be read, and what to do about it. It carries
// no credentials, and nothing that it wraps does.
type Error struct {
	Result Result
	text   string
	cause  error // context.DeadlineExceeded, context.Canceled or nil
}

func (e *Error) Error() string { return e.text }
func (e *Error) Unwrap() error { return e.cause }

var errNoChain = errors.New("the configuration has no credentials")

// What SQS, and the ways to it, call their errors.
var (
	deniedCodes = []string{"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
	// credentialCodes are of requests that were refused for who sent them. What
	// they say besides is not repeated: some quote the signed headers.
	credentialCodes = []string{
		"AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException",
		"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException", "InvalidSecurity",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
		"RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException",
	}
	notFoundCodes = []string{"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue"}
	// unknownCode is the SDK's word for an error without one: an answer that
	// something other than SQS gave.
	unknownCode = (&smithy.GenericAPIError{Code: "UnknownError"}).Code
)

// resultOf classifies what the SDK returned.
func resultOf(err error) Result {
	if err == nil {
		return ResultOK
	}
	if is[*credentialsError](err) {
		return ResultCredentials
	}
	if code := codeOf(err); code != "" {
		_, throttled := retry.DefaultThrottleErrorCodes[code]
		switch {
		case is[*types.QueueDoesNotExist](err), slices.Contains(notFoundCodes, code):
			return ResultNotFound
		case throttled, statusOf(err) == http.StatusTooManyRequests:
			return ResultThrottled
		case slices.Contains(deniedCodes, code):
			return ResultDenied
		case slices.Contains(credentialCodes, code):
			return ResultCredentials
		case statusOf(err) >= http.StatusInternalServerError:
			return ResultServerError
		case code == unknownCode:
			return ResultBadAnswer
		}
		return ResultRefused
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ResultTimeout
	case errors.Is(err, context.Canceled):
		return ResultCanceled
	case statusOf(err) >= http.StatusInternalServerError:
		return ResultServerError
	case statusOf(err) != 0:
		return ResultBadAnswer
	case is[*smithyhttp.RequestSendError](err):
		return ResultUnreachable
	}
	return ResultRefused
}

// explain turns what the SDK returned for operation on queue into an [Error]
// whose words a person can act on. err is not nil.
func (q *Queue) explain(operation string, err error) *Error {
	e := &Error{Result: resultOf(err)}
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, cause) {
			e.cause = cause
		}
	}
	var what string
	switch e.Result {
	case ResultDenied:
		what = fmt.Sprintf("access denied: the caller needs sqs:%s%s on this queue, by its own policy or the queue's%s", operation, q.alsoNeeded(operation), said(err))
	case ResultCredentials:
		what = credentialsWords(err)
	case ResultNotFound:
		what = fmt.Sprintf("there is no such queue in region %s at %s; a queue that was made in the last minute may not be known everywhere yet", q.client.Options().Region, q.endpoint())
	case ResultThrottled:
		what = "SQS throttles us (" + codeOf(err) + "): poll less often, or have fewer clients in this account do so"
	case ResultTimeout:
		what = "waiting for an answer from " + q.endpoint()
	case ResultCanceled:
		what = "canceled while waiting for an answer from " + q.endpoint()
	case ResultUnreachable:
		what = fmt.Sprintf("%s can't be reached: %s", q.endpoint(), sendWords(err))
	case ResultServerError:
		what = fmt.Sprintf("%s failed with HTTP status %d%s", q.endpoint(), statusOf(err), said(err))
	case ResultBadAnswer:
		what = fmt.Sprintf("the answer of %s (HTTP status %d) is none of SQS: is it an SQS endpoint, or is a proxy in the way?", q.endpoint(), statusOf(err))
	default:
		if codeOf(err) != "" {
			what = fmt.Sprintf("SQS refuses the request (%s)%s", codeOf(err), said(err))
			break
		}
		what = firstLine(err.Error())
	}
	e.text = q.secrets.scrub(fmt.Sprintf("%s of queue %s: %s", operation, q.location, what))
	return e
}

// alsoNeeded names the other permission that reading this queue takes.
func (q *Queue) alsoNeeded(operation string) string {
	switch {
	case q.location.URL != "":
		return ""
	case operation == getQueueURL:
		return " and sqs:" + getQueueAttributes
	}
	return " and sqs:" + getQueueURL
}

// endpoint says where requests go.
func (q *Queue) endpoint() string {
	options := q.client.Options()
	if options.BaseEndpoint != nil {
		return *options.BaseEndpoint
	}
	return "the SQS endpoint of " + options.Region
}

// credentialsWords says what is the matter with the credentials.
func credentialsWords(err error) string {
	const chain = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role (EKS Pod Identity, IRSA)"
	if !is[*credentialsError](err) {
		hint := "check that they are current and of this account"
		switch code := codeOf(err); {
		case strings.Contains(code, "Signature"):
			hint = "check the secret access key, and the clock of this machine"
		case strings.Contains(code, "Expired"):
			hint = "they have expired; check what renews them, and the clock of this machine"
		}
		return fmt.Sprintf("SQS doesn't accept our credentials (%s): %s", codeOf(err), hint)
	}
	if code := codeOf(err); code != "" { // of the service that gives out credentials
		return fmt.Sprintf("no credentials: they were refused to us (%s)%s; check the role and who may assume it", code, said(err))
	}
	var failed *credentialsError
	errors.As(err, &failed)
	why := firstLine(failed.err.Error())
	if before, _, found := strings.Cut(why, "process output"); found {
		why = before + "process output" // which may be the credentials
	}
	return fmt.Sprintf("no credentials: %s (%s)", chain, why)
}

// said repeats what the service said, shortened, after ": "; "" where it said
// nothing.
func said(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	message := firstLine(api.ErrorMessage())
	if message == "" || slices.Contains(credentialCodes, api.ErrorCode()) {
		return ""
	}
	return ": " + message
}

// sendWords returns the innermost reason why nothing could be sent or received.
func sendWords(err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		return firstLine(failed.Err.Error())
	}
	var unsent *smithyhttp.RequestSendError
	if errors.As(err, &unsent) {
		return firstLine(unsent.Err.Error())
	}
	return firstLine(err.Error())
}

// firstLine returns the first line of text, of bounded length.
func firstLine(text string) string {
	const longest = 300
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// codeOf returns the code of the service's own error, "" where err isn't one.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// statusOf returns the HTTP status of the answer, 0 where there was none.
func statusOf(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

func is[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}
