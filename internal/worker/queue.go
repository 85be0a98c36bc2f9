package worker

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// pollEnds is how long a poll goes on after a stop: messages that are on their
// way in it would stay in flight if it were cut off at once.
const pollEnds = 500 * time.Millisecond

// queue is the one that is consumed.
type queue struct {
	client *sqs.Client
	url    string
	poll   time.Duration
	failed func(error) // is told what went wrong
}

// message is one that was received.
type message struct {
	body    string
	receipt *string
}

func newQueue(c Config, failed func(error)) queue {
	config := aws.Config{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
	}
	if c.Endpoint != "" {
		config.BaseEndpoint = &c.Endpoint
	}
	return queue{client: sqs.NewFromConfig(config), url: c.QueueURL, poll: c.poll(), failed: failed}
}

// receive waits for messages until its poll is over, or a moment longer than
// stop.
func (q queue) receive(stop context.Context, most int) ([]message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), q.poll+10*time.Second)
	defer cancel()
	unhook := context.AfterFunc(stop, func() { time.AfterFunc(pollEnds, cancel) })
	defer unhook()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: int32(most), WaitTimeSeconds: int32(q.poll / time.Second),
	})
	if err != nil {
		if stop.Err() == nil {
			q.failed(err)
		}
		return nil, err
	}
	messages := make([]message, 0, len(out.Messages))
	for _, m := range out.Messages {
		messages = append(messages, message{body: aws.ToString(m.Body), receipt: m.ReceiptHandle})
	}
	return messages, nil
}

// delete returns false, and tells why, if a message is not deleted.
func (q queue) delete(ctx context.Context, m message) bool {
	_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.receipt})
	if err != nil {
		q.failed(err)
	}
	return err == nil
}

// putBack makes a message visible again at once.
func (q queue) putBack(ctx context.Context, m message) {
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: m.receipt, VisibilityTimeout: 0,
	})
	if err != nil {
		q.failed(err)
	}
}
