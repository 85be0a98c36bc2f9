package demo

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	fleetdoc "github.com/keda-headroom/headroom/metrics/fleet"
)

// fleet is a Deployment of workers: spec.replicas, and pods that follow it. Its
// maxSurge is 0, and nothing is ever rolled out.
type fleet struct {
	name    string
	options podOptions
	address func(index int) string

	mu      sync.Mutex
	spec    int
	created int
	pods    []*pod // terminating ones included, oldest first
	running sync.WaitGroup
	peak    int // most pods at a time, terminating ones included
}

// newFleet returns a fleet of no pods. address gives each its own.
func newFleet(name string, o podOptions, address func(index int) string) *fleet {
	f := &fleet{name: name, options: o, address: address}
	f.options.changed = func(change func()) {
		f.mu.Lock()
		defer f.mu.Unlock()
		change()
	}
	return f
}

// scale sets spec.replicas. Pods are made and deleted at once, as the
// controllers do it: those that are not ready go first, then the youngest.
func (f *fleet) scale(replicas int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spec = replicas
	alive := f.alive()
	slices.SortFunc(alive, func(a, b *pod) int {
		if a.state.Ready != b.state.Ready {
			if a.state.Ready {
				return -1
			}
			return 1
		}
		return a.index - b.index
	})
	for len(alive) > replicas {
		last := alive[len(alive)-1]
		last.state.Terminating = true
		close(last.delete)
		alive = alive[:len(alive)-1]
	}
	for range replicas - len(alive) {
		f.create()
	}
	f.peak = max(f.peak, len(f.pods))
}

func (f *fleet) alive() []*pod {
	var alive []*pod
	for _, p := range f.pods {
		if !p.state.Terminating {
			alive = append(alive, p)
		}
	}
	return alive
}

func (f *fleet) create() {
	p := &pod{index: f.created, delete: make(chan struct{}), state: metrics.Pod{
		UID: fmt.Sprintf("%s-uid-%d", f.name, f.created), Name: fmt.Sprintf("%s-%03d", f.name, f.created),
		CreatedAt: time.Now(), Revision: 1,
	}}
	f.created++
	f.pods = append(f.pods, p)
	f.running.Go(func() {
		p.run(f.options, f.address(p.index))
		f.mu.Lock()
		defer f.mu.Unlock()
		f.pods = slices.DeleteFunc(f.pods, func(other *pod) bool { return other == p })
	})
}

// scaleSubresource returns spec.replicas and status.replicas, which leaves out
// terminating pods.
func (f *fleet) scaleSubresource() (spec, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec, len(f.alive())
}

// counts returns how many pods there are, terminating ones included, how many
// are ready, and the most that there ever were.
func (f *fleet) counts() (pods, ready, peak int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pods {
		if p.state.Ready {
			ready++
		}
	}
	return len(f.pods), ready, f.peak
}

// snapshot is the fleet as the Kubernetes API would show it.
func (f *fleet) snapshot(minReplicas, maxReplicas int) metrics.Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := metrics.Fleet{
		SpecReplicas: f.spec, StatusReplicas: len(f.alive()),
		MinReplicas: minReplicas, MaxReplicas: maxReplicas, MaxSurge: intorpercent.Count(0),
	}
	for _, p := range f.pods {
		out.Pods = append(out.Pods, p.state)
	}
	return out
}

// close deletes every pod and waits until their processes have ended.
func (f *fleet) close() {
	f.scale(0)
	f.running.Wait()
}

// fleetServer shows fleets over HTTP, the way `headroom serve --fleets URL`
// reads them.
type fleetServer struct {
	url    string
	server *http.Server
	served chan struct{}
}

func serveFleets(fleets func() map[metrics.ID]metrics.Fleet) (*fleetServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &fleetServer{url: "http://" + listener.Addr().String() + "/fleets", served: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fleets", func(w http.ResponseWriter, _ *http.Request) {
		document, err := fleetdoc.Format(fleets())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // the reader went away
	})
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener) // always ErrServerClosed, after close
	}()
	return s, nil
}

func (s *fleetServer) close() {
	_ = s.server.Close() // its error is the listener's, which is gone either way
	<-s.served
}
