package sqs

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/awscall"
)

// The operations that reading takes.
const (
	getQueueAttributes = "GetQueueAttributes"
	getQueueURL        = "GetQueueUrl"
)

// counted are the attributes that make a reading.
var counted = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

// Queue is one queue that can be read. It is made by [Client.Queue].
type Queue struct {
	location Location
	name     string
	client   *awssqs.Client
	secrets  *awscall.Secrets
	url      atomic.Pointer[string] // nil until looked up
}

// Read asks SQS for the depth of the queue. An error is an [*Error] unless the
// answer lacks a count or has one that isn't a whole number of 0 or more, which
// is never taken for 0.
func (q *Queue) Read(ctx context.Context) (metrics.Queue, error) {
	known := q.url.Load()
	if known == nil {
		var err error
		if known, err = q.lookUp(ctx); err != nil {
			return metrics.Queue{}, err
		}
	}
	answer, err := q.ask(ctx, known)
	if err != nil && err.Result == awscall.ResultNotFound && q.location.URL == "" {
		// The queue may have been made anew, with another URL.
		found, lookUpErr := q.lookUp(ctx)
		if lookUpErr != nil {
			return metrics.Queue{}, lookUpErr
		}
		if *found != *known {
			answer, err = q.ask(ctx, found)
		}
	}
	if err != nil {
		return metrics.Queue{}, err
	}
	return q.depth(answer.Attributes)
}

// lookUp asks SQS for the URL of the queue, and keeps it.
func (q *Queue) lookUp(ctx context.Context) (*string, error) {
	q.url.Store(nil)
	input := &awssqs.GetQueueUrlInput{QueueName: aws.String(q.location.Name)}
	if q.location.Account != "" {
		input.QueueOwnerAWSAccountId = aws.String(q.location.Account)
	}
	answer, err := q.client.GetQueueUrl(ctx, input)
	if err != nil {
		return nil, q.explain(getQueueURL, err)
	}
	if aws.ToString(answer.QueueUrl) == "" {
		return nil, awscall.NewError(awscall.ResultBadAnswer, fmt.Sprintf("%s of queue %s: the answer of %s has no QueueUrl", getQueueURL, q.location, q.endpoint()))
	}
	q.url.Store(answer.QueueUrl)
	return answer.QueueUrl, nil
}

// ask asks SQS for the counts of the queue at url.
func (q *Queue) ask(ctx context.Context, url *string) (*awssqs.GetQueueAttributesOutput, *Error) {
	answer, err := q.client.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: counted})
	if err != nil {
		return nil, q.explain(getQueueAttributes, err)
	}
	return answer, nil
}

// depth reads the counts.
func (q *Queue) depth(attributes map[string]string) (metrics.Queue, error) {
	depth := metrics.Queue{FIFO: isFIFO(q.name)}
	for i, into := range []*int64{&depth.Visible, &depth.InFlight, &depth.Delayed} {
		name := string(counted[i])
		text, found := attributes[name]
		if !found {
			return metrics.Queue{}, fmt.Errorf("%s of queue %s: expected the attribute %s, found none", getQueueAttributes, q.location, name)
		}
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return metrics.Queue{}, fmt.Errorf("%s of queue %s: expected a whole number of 0 or more for %s, found %.40q", getQueueAttributes, q.location, name, text)
		}
		*into = int64(n)
	}
	return depth, nil
}
