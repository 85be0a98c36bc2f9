package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keda-headroom/headroom/internal/kedasim"
)

// externalTrigger is KEDA's side of an external-push trigger: its calls over
// gRPC, in its order (pkg/scalers/external_scaler.go).
type externalTrigger struct {
	conn   *grpc.ClientConn
	client pb.ExternalScalerClient
	object *pb.ScaledObjectRef
}

func newExternalTrigger(address string, object *pb.ScaledObjectRef) (*externalTrigger, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin":{}}]}`))
	if err != nil {
		return nil, err
	}
	return &externalTrigger{conn: conn, client: pb.NewExternalScalerClient(conn), object: object}, nil
}

func (t *externalTrigger) close() { _ = t.conn.Close() } // fails only where it is closed already

func (t *externalTrigger) spec(ctx context.Context) (*pb.MetricSpec, error) {
	out, err := t.client.GetMetricSpec(ctx, t.object)
	if err != nil {
		return nil, err
	}
	if len(out.MetricSpecs) != 1 {
		return nil, fmt.Errorf("GetMetricSpec: expected one metric, found %d", len(out.MetricSpecs))
	}
	return out.MetricSpecs[0], nil
}

func (t *externalTrigger) target(ctx context.Context) (milli int64, err error) {
	spec, err := t.spec(ctx)
	if err != nil {
		return 0, err
	}
	if spec.TargetSizeFloat > 0 {
		return kedasim.Milli(spec.TargetSizeFloat), nil
	}
	return spec.TargetSize * 1000, nil
}

// ask makes the calls of one query: GetMetricSpec, GetMetrics, IsActive.
func (t *externalTrigger) ask(ctx context.Context) (answer, error) {
	spec, err := t.spec(ctx)
	if err != nil {
		return answer{}, err
	}
	values, err := t.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: t.object, MetricName: spec.MetricName})
	if err != nil {
		return answer{}, err
	}
	var a answer
	for _, v := range values.MetricValues { // names are ignored, values are summed
		milli := kedasim.Milli(kedasim.MetricValue(v.MetricValue, v.MetricValueFloat))
		if a.milli > math.MaxInt64-milli {
			a.milli = math.MaxInt64
			break
		}
		a.milli += milli
	}
	active, err := t.client.IsActive(ctx, t.object)
	if err != nil {
		return answer{}, err
	}
	a.active = active.Result
	return a, nil
}

// push follows StreamIsActive until ctx ends. A stream that breaks is opened
// again after 2 s, then later and later, up to a minute; one that ends in order
// starts that anew.
func (t *externalTrigger) push(ctx context.Context, say func(active bool)) {
	const first, longest = 2 * time.Second, time.Minute
	for wait := first; ; wait = min(2*wait, longest) {
		if err := t.stream(ctx, say); errors.Is(err, io.EOF) {
			wait = first
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (t *externalTrigger) stream(ctx context.Context, say func(active bool)) error {
	stream, err := t.client.StreamIsActive(ctx, t.object)
	if err != nil {
		return err
	}
	for {
		out, err := stream.Recv()
		if err != nil {
			return err
		}
		say(out.Result)
	}
}
