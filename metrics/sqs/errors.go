package sqs

import (
	"fmt"

	"github.com/keda-headroom/headroom/metrics/awscall"
)

// Error says why a queue could not be read, and what to do about it. It carries
// no credentials, and nothing that it wraps does.
type Error = awscall.Error

// explain turns what the SDK returned for operation on queue into an [Error]
// whose words a person can act on. err is not nil.
func (q *Queue) explain(operation string, err error) *Error {
	return awscall.Call{
		Service: "SQS", Operation: operation, Of: fmt.Sprintf("queue %s", q.location), Endpoint: q.endpoint(),
		Denied: fmt.Sprintf("the caller needs sqs:%s%s on this queue, by its own policy or the queue's", operation, q.alsoNeeded(operation)),
		NotFound: fmt.Sprintf("there is no such queue in region %s at %s; a queue that was made in the last minute may not be known everywhere yet",
			q.client.Options().Region, q.endpoint()),
		Throttled: "poll less often, or have fewer clients in this account do so",
		Secrets:   q.secrets,
	}.Explain(err)
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
	return awscall.EndpointOf("SQS", options.Region, options.BaseEndpoint)
}
