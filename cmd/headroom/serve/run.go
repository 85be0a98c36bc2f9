package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/metrics/cloudwatch"
	"github.com/keda-headroom/headroom/metrics/sqs"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/condition"
	"github.com/keda-headroom/headroom/scaler/gate"
	"github.com/keda-headroom/headroom/scaler/policies"
	"github.com/keda-headroom/headroom/scaler/policyfile"
	"github.com/keda-headroom/headroom/scaler/recording"
	"github.com/keda-headroom/headroom/scaler/why"
)

// Run serves until ctx ends, then ends every stream and call in an orderly way and
// returns nil. It returns an error where it can't begin, or can't go on: where it
// led, and another one leads by now, it ends too, to begin anew as a follower.
func Run(ctx context.Context, options Options) (err error) {
	if err := options.Validate(); err != nil {
		return err
	}
	log := options.logger()
	build := buildinfo.Get()

	// What plans and follows the plans goes on until nobody asks any more.
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer end()

	around, err := look(background, options, log)
	if err != nil {
		return err
	}
	defer around.close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	telemetry := scaler.NewTelemetry(registry, build)
	queues, err := sqs.New(ctx, sqs.Options{Config: options.AWS, Observe: telemetry.AWSRequest})
	if err != nil {
		return err
	}
	points, err := cloudwatch.New(ctx, cloudwatch.Options{Config: options.AWS, Observe: telemetry.AWSRequest})
	if err != nil {
		return err
	}
	recorder, err := recording.Open(options.recording(log, build.Version))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, recorder.Close()) }()
	registry.MustRegister(scaler.NewRecordingCollectors(
		func() uint64 { return recorder.Stats().Dropped },
		func() int64 { return recorder.Stats().Bytes },
	)...)

	certificates, err := options.certificates(log)
	if err != nil {
		return err
	}
	grpcListener, httpListener, err := listen(options)
	if err != nil {
		return err
	}

	sources := scaler.NewSources(scaler.SourcesOptions{
		Open:          open(queues, points, around.fleets, around.secrets, options.SessionAge),
		FleetInterval: options.FleetInterval, FleetsChanged: around.changed, Epoch: around.term,
		Observe: telemetry.Read, Refused: telemetry.Refused, Log: log,
	})
	defer sources.Close()
	planner := scaler.NewPlanner(scaler.PlannerOptions{
		Readings: sources, Recorder: recorder, Planned: telemetry.Planned, Ledger: around.ledger,
	})
	registry.MustRegister(scaler.NewPlanCollector(planner.State, sources.ReadingTimes))
	keeper := policies.NewKeeper(policies.Options{Log: log, OptedOut: around.optedOut, Leaves: around.leaves, Loaded: func(r policies.Result) {
		telemetry.PoliciesRead(statuses(r.Documents), r.Valid)
		around.judged(r)
		if r.InForce {
			planner.SetPolicy(r.Set)
		}
	}})
	server := scaler.NewServer(scaler.ServerOptions{
		State: planner.State, Standby: around.standby, MaxConnectionAge: options.MaxConnectionAge,
		Metrics: telemetry.GRPC, TLS: certificates.Config(),
	})
	stopping := make(chan struct{})
	web := scaler.NewHTTPServer(scaler.HTTPOptions{
		State: planner.State, Metrics: registry, Stopping: stopping, Ready: around.ready, Standby: around.standby,
		Handlers: map[string]http.Handler{
			"POST " + scaler.PokePath: scaler.NewPokeHandler(sources.Poke, telemetry.Poked),
			"GET " + recording.Path:   recording.NewHandler(recorder),
			"GET " + why.Path:         why.NewHandler(why.Options{State: planner.State, Recording: recorder, Program: build.Version}),
		},
	})
	web.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)

	plan := func() {
		if len(options.Policies) > 0 {
			files := policyfile.New(policyfile.Options{Paths: options.Policies, Origin: keeper.Origin("files", true)})
			files.Load()
			running.Go(func() { files.Run(background) })
		}
		running.Go(func() { planner.Run(background) })
		running.Go(func() { scaler.LogChanges(background, planner.State, log) })
		running.Go(func() { serveHealth(background, planner.State, server) })
	}
	failed := make(chan error, 3)
	living, leave := context.WithCancel(background)
	left := make(chan struct{}) // closed when another one may lead
	if around.live == nil {
		plan()
		close(left)
	} else {
		with := actsWith{
			keeper: keeper, origin: keeper.Origin("configmaps", false), state: planner.State,
			done: gate.Count(telemetry), told: condition.Count(telemetry), ungoverned: telemetry.Ungoverned,
		}
		running.Go(func() {
			defer close(left)
			if err := around.live(living, func(acting context.Context) {
				plan()
				around.act(acting, with)
			}); err != nil {
				failed <- err
			}
		})
	}
	defer leave()
	running.Go(func() { certificates.Run(background) })
	running.Go(func() { tellLeader(background, around.leads, telemetry) })

	running.Go(func() { failed <- server.Serve(grpcListener) })
	running.Go(func() { failed <- web.Serve(httpListener) })
	at := Addresses{GRPC: grpcListener.Addr().String(), HTTP: httpListener.Addr().String()}
	log.Info("serving", "grpc", at.GRPC, "http", at.HTTP, "version", build.Version)
	if options.Ready != nil {
		options.Ready(at)
	}

	select {
	case <-ctx.Done():
		log.Info("stopping", "timeout", options.ShutdownTimeout.String())
	case err = <-failed:
		log.Error("stopping", "problem", err.Error())
	}
	close(stopping)
	leave()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), options.ShutdownTimeout)
	defer cancel()
	select {
	case <-left:
		if err == nil && around.succeeded != nil {
			handOver(ending, around.succeeded)
		}
	case <-ending.Done():
	}
	stop(ending, server, web, log)
	log.Info("stopped")
	return err
}

const (
	// successorWithin is how long a leader that let go of the lease waits for
	// another one: everybody looks at it every 2 to 4.4 s.
	successorWithin = 8 * time.Second
	// overlap is how long it goes on answering beside the other one, which has to
	// read everything before it can.
	overlap = 2 * time.Second
)

// handOver goes on answering KEDA until another one can. Nothing acts any more, and
// what was decided is as good as before.
func handOver(ctx context.Context, succeeded func(context.Context) bool) {
	within, cancel := context.WithTimeout(ctx, successorWithin)
	defer cancel()
	if !succeeded(within) {
		return
	}
	timer := time.NewTimer(overlap)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// tellLeader keeps the metric that says who leads, until ctx ends.
func tellLeader(ctx context.Context, leads func() bool, telemetry *scaler.Telemetry) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		telemetry.Leader(leads())
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// listen takes both addresses, or neither.
func listen(options Options) (grpcListener, httpListener net.Listener, err error) {
	grpcListener, err = net.Listen("tcp", options.GRPCAddress)
	if err != nil {
		return nil, nil, fmt.Errorf("--grpc-address: %w", err)
	}
	httpListener, err = net.Listen("tcp", options.HTTPAddress)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("--http-address: %w", err), grpcListener.Close())
	}
	return grpcListener, httpListener, nil
}

// serveHealth answers health checks with SERVING from the first plan on.
func serveHealth(ctx context.Context, state func() *scaler.State, server *scaler.Server) {
	for {
		current := state()
		if current.Planned() {
			server.SetServing(true)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-current.Next():
		}
	}
}

// stop ends both servers, and cuts off what has not ended when ctx does.
func stop(ctx context.Context, server *scaler.Server, web *http.Server, log *slog.Logger) {
	server.Stop(ctx)
	if err := web.Shutdown(ctx); err != nil {
		log.Warn("HTTP requests were cut off", "problem", err.Error())
		_ = web.Close() // the listener is closed already; what is left is connections
	}
}

func statuses(documents []policies.Document) []scaler.PolicyStatus {
	out := make([]scaler.PolicyStatus, 0, len(documents))
	for _, d := range documents {
		out = append(out, scaler.PolicyStatus(d))
	}
	return out
}
