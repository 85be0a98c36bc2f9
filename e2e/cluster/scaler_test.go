package cluster_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
)

// scaler is an external scaler that wants a number of replicas.
type scaler struct {
	pb.UnimplementedExternalScalerServer
	address string
	wanted  atomic.Int64
	asked   atomic.Int64 // how often for the metric
}

// startScaler serves a scaler until the end of the test.
func startScaler(t *testing.T) *scaler {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scaler{address: listener.Addr().String()}
	server := grpc.NewServer()
	pb.RegisterExternalScalerServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *scaler) IsActive(context.Context, *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	return &pb.IsActiveResponse{Result: s.wanted.Load() > 0}, nil
}

func (s *scaler) StreamIsActive(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var active bool
	for {
		if now := s.wanted.Load() > 0; now != active {
			active = now
			if err := stream.Send(&pb.IsActiveResponse{Result: active}); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (s *scaler) GetMetricSpec(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "wanted", TargetSize: 1}}}, nil
}

func (s *scaler) GetMetrics(context.Context, *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	s.asked.Add(1)
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: "wanted", MetricValue: s.wanted.Load()}}}, nil
}
