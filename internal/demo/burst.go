package demo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/internal/fakeaws"
)

// queueRegion is what the local SQS and all of its clients call their region.
const queueRegion = "us-east-1"

// queueKey is the access key and the secret of all of them.
const queueKey = "demo"

// burst is one run's queue on the local SQS.
type burst struct {
	server *fakeaws.Server
	client *sqs.Client
	name   string
	url    string
}

func newBurst(ctx context.Context, server *fakeaws.Server, name string) (*burst, error) {
	b := &burst{server: server, client: sqs.NewFromConfig(server.Config()), name: name}
	out, err := b.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		return nil, fmt.Errorf("create queue %s: %w", name, err)
	}
	b.url = aws.ToString(out.QueueUrl)
	return b, nil
}

// send puts n messages into the queue.
func (b *burst) send(ctx context.Context, n int) error {
	const most = 10 // that SQS takes at a time
	for first := 0; first < n; first += most {
		in := &sqs.SendMessageBatchInput{QueueUrl: &b.url}
		for i := first; i < min(first+most, n); i++ {
			id := strconv.Itoa(i)
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &id})
		}
		out, err := b.client.SendMessageBatch(ctx, in)
		if err != nil {
			return fmt.Errorf("send messages: %w", err)
		}
		if len(out.Failed) > 0 {
			return fmt.Errorf("send messages: %d of %d were refused", len(out.Failed), len(in.Entries))
		}
	}
	return nil
}

// left is how many messages were not deleted yet, exactly.
func (b *burst) left() int {
	truth, _ := b.server.Truth(b.name) // it exists from newBurst on
	return truth.Visible + truth.InFlight + truth.Delayed
}

// drained returns when no message is left, or with ctx.
func (b *burst) drained(ctx context.Context) bool {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for b.left() > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}
