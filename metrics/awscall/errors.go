package awscall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
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
	ResultNotFound    Result = "not_found"    // what was asked about does not exist
	ResultThrottled   Result = "throttled"    // asked too often
	ResultTimeout     Result = "timeout"      // no answer in time
	ResultCanceled    Result = "canceled"     // whoever asked no longer wants to know
	ResultUnreachable Result = "unreachable"  // no connection, or it broke
	ResultServerError Result = "server_error" // the service's own fault (5xx)
	ResultBadAnswer   Result = "bad_answer"   // not an answer of the service
	ResultRefused     Result = "refused"      // any other error of the service
)

// Error says why something could not be read, and what to do about it. It carries
// no credentials, and nothing that it wraps does.
type Error struct {
	Result Result
	text   string
	cause  error // context.DeadlineExceeded, context.Canceled or nil
}

// NewError returns an error in these words.
func NewError(result Result, text string) *Error { return &Error{Result: result, text: text} }

func (e *Error) Error() string { return e.text }
func (e *Error) Unwrap() error { return e.cause }

var errNoChain = errors.New("the configuration has no credentials")

// What the services, and the ways to them, call their errors.
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
	notFoundCodes = []string{"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue", "ResourceNotFound", "ResourceNotFoundException"}
	// unknownCode is the SDK's word for an error without one: an answer that
	// something other than the service gave.
	unknownCode = (&smithy.GenericAPIError{Code: "UnknownError"}).Code
)

// ResultOf classifies what the SDK returned.
func ResultOf(err error) Result {
	if err == nil {
		return ResultOK
	}
	if is[*credentialsError](err) {
		return ResultCredentials
	}
	if code := codeOf(err); code != "" {
		_, throttled := retry.DefaultThrottleErrorCodes[code]
		switch {
		case slices.Contains(notFoundCodes, code):
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

// Call is a request that failed, as far as words about it need to know.
type Call struct {
	// Service is what people call it ("SQS"), Operation the request's name, Of what
	// it was about ("queue orders").
	Service, Operation, Of string
	// Endpoint is where it went: see [EndpointOf].
	Endpoint string
	// Denied, NotFound and Throttled say what to do then; each goes on after a colon.
	Denied, NotFound, Throttled string
	Secrets                     *Secrets
}

// Explain turns what the SDK returned into an [Error] whose words a person can act
// on. err is not nil.
func (c Call) Explain(err error) *Error {
	e := &Error{Result: ResultOf(err)}
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, cause) {
			e.cause = cause
		}
	}
	e.text = c.Secrets.scrub(fmt.Sprintf("%s of %s: %s", c.Operation, c.Of, c.words(e.Result, err)))
	return e
}

func (c Call) words(result Result, err error) string {
	switch result {
	case ResultDenied:
		return "access denied: " + c.Denied + said(err)
	case ResultCredentials:
		return credentialsWords(c.Service, err)
	case ResultNotFound:
		return c.NotFound
	case ResultThrottled:
		return fmt.Sprintf("%s throttles us (%s): %s", c.Service, codeOf(err), c.Throttled)
	case ResultTimeout:
		return "waiting for an answer from " + c.Endpoint
	case ResultCanceled:
		return "canceled while waiting for an answer from " + c.Endpoint
	case ResultUnreachable:
		return fmt.Sprintf("%s can't be reached: %s", c.Endpoint, sendWords(err))
	case ResultServerError:
		return fmt.Sprintf("%s failed with HTTP status %d%s", c.Endpoint, statusOf(err), said(err))
	case ResultBadAnswer:
		return fmt.Sprintf("the answer of %s (HTTP status %d) is none of %s: is it an endpoint of %[3]s, or is a proxy in the way?", c.Endpoint, statusOf(err), c.Service)
	default:
		if codeOf(err) != "" {
			return fmt.Sprintf("%s refuses the request (%s)%s", c.Service, codeOf(err), said(err))
		}
		return firstLine(err.Error())
	}
}

// EndpointOf says where a client's requests go.
func EndpointOf(service, region string, base *string) string {
	if base != nil {
		return *base
	}
	return "the " + service + " endpoint of " + region
}

// credentialsWords says what is the matter with the credentials.
func credentialsWords(service string, err error) string {
	const chain = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role (EKS Pod Identity, IRSA)"
	if !is[*credentialsError](err) {
		hint := "check that they are current and of this account"
		switch code := codeOf(err); {
		case strings.Contains(code, "Signature"):
			hint = "check the secret access key, and the clock of this machine"
		case strings.Contains(code, "Expired"):
			hint = "they have expired; check what renews them, and the clock of this machine"
		}
		return fmt.Sprintf("%s doesn't accept our credentials (%s): %s", service, codeOf(err), hint)
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
