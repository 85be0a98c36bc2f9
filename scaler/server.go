package scaler

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

// DefaultMaxConnectionAge is how long a client keeps a connection before it is
// told to make a new one, which finds the present leader.
const DefaultMaxConnectionAge = 5 * time.Minute

// maxRequest is far more than a ScaledObject's metadata can be.
const maxRequest = 256 << 10

// keepalive of connections: a client whose node vanished is found out within
// these, so that its streams don't stay open.
const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
	clientPingsEvery = 10 * time.Second // how often clients may do the same
)

// ServerOptions say what a [Server] answers from. State is required.
type ServerOptions struct {
	// State returns the latest state: [Planner.State].
	State func() *State
	// Standby says why another Headroom has to be asked, see [ServiceOptions]. Then
	// connections are soon closed, so that clients come to that one; nil is never.
	Standby func() string
	// MaxPlanAge is how old a plan may be to be answered, 0 for the default.
	MaxPlanAge time.Duration
	// MaxConnectionAge is how long a connection may be used, spread by a tenth
	// either way; what is in progress on it may go on for half as long again. 0
	// sets no bound.
	MaxConnectionAge time.Duration
	// Metrics counts calls; nil counts nothing.
	Metrics *grpcprom.ServerMetrics
	// TLS is how connections are made: [Certificates.Config]. nil is plain text.
	TLS *tls.Config
}

// Server is the gRPC server: KEDA's external scaler, gRPC's health checks and
// reflection. Make one with [NewServer].
type Server struct {
	grpc     *grpc.Server
	standby  func() string // nil is never
	health   *health.Server
	stopping chan struct{}
}

// NewServer returns a server that is not serving yet.
func NewServer(options ServerOptions) *Server {
	settings := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPingsEvery, PermitWithoutStream: true}),
	}
	alive := keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}
	if age := options.MaxConnectionAge; age > 0 {
		alive.MaxConnectionAge, alive.MaxConnectionAgeGrace = age, connectionGrace(age)
		settings = append(settings, grpc.StatsHandler(connectionAges{maxAge: age, grace: connectionGrace(age)}))
	}
	settings = append(settings, grpc.KeepaliveParams(alive))
	if options.TLS != nil {
		settings = append(settings, grpc.Creds(credentials.NewTLS(options.TLS)))
	}
	if m := options.Metrics; m != nil {
		settings = append(settings,
			grpc.ChainUnaryInterceptor(m.UnaryServerInterceptor()),
			grpc.ChainStreamInterceptor(m.StreamServerInterceptor()))
	}

	s := &Server{grpc: grpc.NewServer(settings...), standby: options.Standby, health: health.NewServer(), stopping: make(chan struct{})}
	pb.RegisterExternalScalerServer(s.grpc, NewService(ServiceOptions{
		State: options.State, Standby: options.Standby, Stopping: s.stopping, MaxPlanAge: options.MaxPlanAge,
	}))
	healthpb.RegisterHealthServer(s.grpc, s.health)
	s.SetServing(false)
	reflection.Register(s.grpc)
	if options.Metrics != nil {
		options.Metrics.InitializeMetrics(s.grpc)
	}
	return s
}

// connectionGrace is for how long calls on a connection may go on after its
// client was told to make a new one. It has to exceed the whole spread of ages (a
// fifth), so that streams can end by themselves at a time that suits every
// connection.
func connectionGrace(age time.Duration) time.Duration { return age / 2 }

// SetServing sets what health checks are told.
func (s *Server) SetServing(serving bool) {
	is := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		is = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", is)
	s.health.SetServingStatus(pb.ExternalScaler_ServiceDesc.ServiceName, is)
}

// Serve answers on listener until Stop. It returns nil after Stop.
func (s *Server) Serve(listener net.Listener) error {
	if s.standby != nil {
		listener = brief{listener, s.standby}
	}
	return s.grpc.Serve(listener)
}

// Stop ends every stream without an error, lets calls in progress end and closes
// all connections; what is left when ctx ends is cut off. It is called once.
func (s *Server) Stop(ctx context.Context) {
	s.health.Shutdown()
	close(s.stopping)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
}
