package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/internal/fakeaws"
)

// region is what the local SQS and its clients call their region.
const region = "us-east-1"

// workerKey is the access key that workers have; autoscalers have their role's
// name for one.
const workerKey = "worker"

// queues is a lane's SQS, with a queue for each fleet.
type queues struct {
	server *fakeaws.Server
	client *sqs.Client
	urls   map[string]string // by fleet
}

func startQueues(ctx context.Context, fleets []string) (*queues, error) {
	q := &queues{server: fakeaws.New(fakeaws.Options{Region: region}), urls: map[string]string{}}
	if _, err := q.server.Start(""); err != nil {
		return nil, err
	}
	q.client = sqs.NewFromConfig(q.server.Config())
	for _, fleet := range fleets {
		out, err := q.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &fleet})
		if err != nil {
			q.stop()
			return nil, fmt.Errorf("create queue %s: %w", fleet, err)
		}
		q.urls[fleet] = aws.ToString(out.QueueUrl)
	}
	return q, nil
}

func (q *queues) endpoint() contender.AWS {
	return contender.AWS{Endpoint: q.server.URL(), Region: region}
}

// left is how many messages were not deleted yet, exactly.
func (q *queues) left() int {
	n := 0
	for fleet := range q.urls {
		truth, _ := q.server.Truth(fleet) // it exists from the start on
		n += truth.Visible + truth.InFlight + truth.Delayed
	}
	return n
}

// autoscalerCalls are the requests of autoscalers.
func (q *queues) autoscalerCalls() int {
	n := 0
	for _, key := range autoscalerRoles {
		for _, calls := range q.server.CallsBy(key) {
			n += calls
		}
	}
	return n
}

// arrivals are the moments of n messages, anywhere within a time span, in order.
func arrivals(random *rand.Rand, n int, within time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		if within > 0 {
			out[i] = time.Duration(random.Int64N(int64(within)))
		}
	}
	slices.Sort(out)
	return out
}

// send puts messages into a fleet's queue, each at its moment after begin. burst
// tells them from those of other bursts.
func (q *queues) send(ctx context.Context, fleet string, burst int, begin time.Time, at []time.Duration) error {
	const most = 10 // that SQS takes at a time
	url := q.urls[fleet]
	for i := 0; i < len(at); {
		if !sleepUntil(ctx, begin.Add(at[i])) {
			return context.Cause(ctx)
		}
		in := &sqs.SendMessageBatchInput{QueueUrl: &url}
		for now := time.Since(begin); i < len(at) && len(in.Entries) < most && at[i] <= now; i++ {
			id := strconv.Itoa(i)
			body := fmt.Sprintf("%s/%d/%d", fleet, burst, i)
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body})
		}
		out, err := q.client.SendMessageBatch(ctx, in)
		if err != nil {
			return fmt.Errorf("send messages to %s: %w", fleet, err)
		}
		if len(out.Failed) > 0 {
			return errors.New("send messages: some were refused")
		}
	}
	return nil
}

func (q *queues) stop() { q.server.Close() }

// sleepUntil returns false when ctx ends first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
