package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/connrotation"

	"github.com/keda-headroom/headroom/metrics/poll"
)

// DefaultTolerance is the HPA controller's own default.
const DefaultTolerance = 0.1

// Options of [New]. Config is required.
type Options struct {
	// Config says how the API server is reached, and as whom. It is copied.
	Config *rest.Config
	// DefaultTolerance is the tolerance of HPAs that give none, as a share: the
	// controller manager's flag --horizontal-pod-autoscaler-tolerance. 0 stands for
	// its default, 0.1. At most 1.
	DefaultTolerance float64
	// Log gets a line when a kind of object can't be watched and when it can
	// again, and one for each pod with a grant that can't be read. nil logs
	// nothing.
	Log *slog.Logger
}

// Cluster is a view of one Kubernetes cluster that is kept up to date. All its
// methods may be called at any time from anywhere; [Cluster.Run] once.
type Cluster struct {
	log              *slog.Logger
	defaultTolerance int // of an HPA that gives none, in thousandths
	tables           tables
	probe            *probe
	scales           scale.ScalesGetter
	metadata         metadata.Interface
	mapper           *restmapper.DeferredDiscoveryRESTMapper
	changed          *poll.Signal
	looked           atomic.Pointer[looked]
	selections       selections
	targets          targets
	others           *others
	ran              atomic.Bool
	end              context.CancelFunc
}

// New returns a Cluster that knows nothing yet. It doesn't talk to anybody. It
// fails where the options make no sense.
func New(options Options) (*Cluster, error) {
	if options.Config == nil {
		return nil, errors.New("kubernetes: expected a config, found none")
	}
	if options.DefaultTolerance == 0 {
		options.DefaultTolerance = DefaultTolerance
	}
	if !(options.DefaultTolerance > 0 && options.DefaultTolerance <= 1) {
		return nil, fmt.Errorf("kubernetes: expected a default tolerance above 0 and up to 1, found %v", options.DefaultTolerance)
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	dial := options.Config.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 10 * time.Second}).DialContext
	}
	dialer := connrotation.NewDialer(dial)
	config := options.config(dialer)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	untyped, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	found, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	about, err := metadata.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}

	alive, end := context.WithCancel(context.Background())
	c := &Cluster{
		log:              options.Log,
		defaultTolerance: milli(options.DefaultTolerance),
		tables:           newTables(typed, untyped, options.Log),
		probe:            &probe{client: found.RESTClient(), alive: alive},
		changed:          poll.NewSignal(),
		mapper:           restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found)),
		metadata:         about,
		end:              end,
	}
	c.scales, err = scale.NewForConfig(options.config(dialer), c.mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(found))
	if err != nil {
		end()
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	c.others = newOthers(c.scales, c.mapper)
	c.probe.away = func(failed time.Time) { c.away(dialer, failed) }
	c.follow()
	return c, nil
}

// config is how the API server is reached by connections that can be closed all
// at once.
func (o Options) config(dialer *connrotation.Dialer) *rest.Config {
	config := rest.CopyConfig(o.Config)
	config.Dial = dialer.DialContext
	config.QPS = -1 // a few lists and a probe; the server has priority and fairness
	return config
}

// Run lists and watches until ctx ends, then returns nil once everything has
// stopped. Whatever goes wrong is tried again, at least every two seconds. It
// fails where it was called before.
func (c *Cluster) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return errors.New("kubernetes: expected Run to be called once, found a second call")
	}
	defer c.end()
	var running sync.WaitGroup
	for _, run := range c.tables.runs() {
		running.Go(func() { run(ctx) })
	}
	running.Wait()
	return nil
}

// Changed is received from when something about a fleet changed that is read. Any
// number of changes before the listener comes round are one; there is one
// listener.
func (c *Cluster) Changed() <-chan struct{} { return c.changed.C() }

// Fresh waits until what is kept is what the API server has, and says why where
// that isn't so before ctx ends. Kinds that the server refuses to show are not
// waited for, see [Cluster.Refused].
func (c *Cluster) Fresh(ctx context.Context) error {
	if !c.ran.Load() {
		return errors.New("kubernetes isn't watched: not started")
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	check := time.NewTicker(10 * time.Millisecond)
	defer check.Stop()
	for {
		if err := c.probe.answers(ctx, time.Now().Add(-probeAge)); err != nil {
			return err
		}
		behind := c.tables.behind()
		if behind == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(behind.why())
		case <-check.C:
		}
	}
}

// away has everything begin anew after the API server didn't answer: a watch from
// before may hang on a connection that is half open, and would stay silent for as
// long as TCP has patience. Watches go on from where they were.
func (c *Cluster) away(dialer *connrotation.Dialer, failed time.Time) {
	dialer.CloseAll()
	for _, t := range c.tables.each() {
		t.expire(failed)
	}
}

// withMargin ends a little before ctx does, so that there is time to say why.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/10))
}
