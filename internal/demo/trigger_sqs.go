package demo

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keda-headroom/headroom/internal/kedasim"
)

// sqsTrigger is what KEDA's aws-sqs-queue scaler does with its defaults: the
// messages visible and in flight, over queueLength, active above 0
// (pkg/scalers/aws_sqs_queue_scaler.go).
type sqsTrigger struct {
	client      *sqs.Client
	url         string
	queueLength int
}

func (t *sqsTrigger) target(context.Context) (milli int64, err error) {
	return int64(t.queueLength) * 1000, nil
}

func (t *sqsTrigger) ask(ctx context.Context) (answer, error) {
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	out, err := t.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &t.url, AttributeNames: names})
	if err != nil {
		return answer{}, err
	}
	var length int64
	for _, name := range names {
		n, err := strconv.ParseInt(out.Attributes[string(name)], 10, 64)
		if err != nil {
			return answer{}, fmt.Errorf("queue attribute %s: expected a number, found %q", name, out.Attributes[string(name)])
		}
		length += n
	}
	return answer{milli: kedasim.Milli(float64(length)), active: length > 0}, nil
}

// push never says anything: only an external-push trigger does.
func (t *sqsTrigger) push(context.Context, func(active bool)) {}
