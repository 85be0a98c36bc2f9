package scaler

import (
	"context"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// StreamIsActive tells whether the workload is active: when the stream opens (or
// as soon as there is a plan), then on every change and never otherwise, because
// each true starts KEDA's cooldown anew.
//
// It ends without an error when the server stops, when the connection is due to be
// replaced, and soon where another Headroom leads: that is what makes KEDA open the
// next stream soon, and not back off for up to a minute. A workload that nobody governs (any more) ends it with
// NotFound.
func (s *Service) StreamIsActive(ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	ended := s.ended(stream.Context())
	defer ended.Stop()
	told, toldYet := false, false
	for {
		state := s.state()
		w, err := s.workload(state, ref)
		switch {
		case status.Code(err) == codes.Unavailable: // hold what was told until there is a plan
		case err != nil:
			return err
		case !toldYet || w.Active != told:
			if err := stream.Send(&pb.IsActiveResponse{Result: w.Active}); err != nil {
				return err
			}
			told, toldYet = w.Active, true
		}
		select {
		case <-state.Next():
		case <-s.stopping:
			return nil
		case <-ended.C:
			return nil
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// StreamMetricSpec tells the metric's spec when the stream opens. It never
// changes, so that nothing more is sent; the stream stays open because KEDA
// opens the next one when it ends.
func (s *Service) StreamMetricSpec(ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	ended := s.ended(stream.Context())
	defer ended.Stop()
	if err := stream.Send(metricSpec(ref)); err != nil {
		return err
	}
	select {
	case <-s.stopping:
		return nil
	case <-ended.C:
		return nil
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}

// standbyStream is how long a stream stays open where another Headroom leads: less
// than its connection.
const standbyStream = time.Second

// ended returns a timer for when the stream has to end because its connection is
// due to be replaced, or because it is the wrong one. It never fires on one that
// isn't.
func (s *Service) ended(ctx context.Context) *time.Timer {
	if s.standby() != "" {
		return time.NewTimer(standbyStream)
	}
	if due, ok := ctx.Value(streamsEnd{}).(time.Time); ok {
		return time.NewTimer(time.Until(due))
	}
	never := time.NewTimer(time.Hour)
	never.Stop()
	return never
}

// streamsEnd is the key of the time at which the streams of a connection end, in
// the context of each.
type streamsEnd struct{}

// connectionAges notes on every connection when its streams have to end, so that
// they end by themselves after the client was told to go elsewhere (maxAge, which
// gRPC spreads by a tenth) and before what is left is cut off (grace later).
type connectionAges struct{ maxAge, grace time.Duration }

var _ stats.Handler = connectionAges{}

func (c connectionAges) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, streamsEnd{}, time.Now().Add(c.maxAge+c.maxAge/10+c.grace/4))
}

func (connectionAges) HandleConn(context.Context, stats.ConnStats)                     {}
func (connectionAges) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (connectionAges) HandleRPC(context.Context, stats.RPCStats)                       {}
