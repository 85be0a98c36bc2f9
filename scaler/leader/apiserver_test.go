package leader

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/metrics/kube"
)

// apiServer holds one lease, as an API server does: a write with another
// resourceVersion or UID than the lease's is refused. Pods are client-go's fake's.
type apiServer struct {
	mu      sync.Mutex
	lease   *coordinationv1.Lease // nil where there is none
	version int
	uid     int

	underWay sync.WaitGroup // requests

	pods *fake.Clientset
}

// newAPIServer returns one that ends with the test, when nothing is under way.
func newAPIServer(t *testing.T, pods ...*corev1.Pod) *apiServer {
	t.Helper()
	s := &apiServer{}
	t.Cleanup(s.underWay.Wait)
	var objects []runtime.Object
	for _, p := range pods {
		objects = append(objects, p)
	}
	s.pods = fake.NewClientset(objects...)
	return s
}

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// get, put and remove are what happens inside the API server.
func (s *apiServer) get() (*coordinationv1.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		return nil, apierrors.NewNotFound(leases, DefaultLeaseName)
	}
	return s.lease.DeepCopy(), nil
}

func (s *apiServer) put(l *coordinationv1.Lease, create bool) (*coordinationv1.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case create && s.lease != nil:
		return nil, apierrors.NewAlreadyExists(leases, l.Name)
	case create:
		s.uid++
	case s.lease == nil:
		return nil, apierrors.NewNotFound(leases, l.Name)
	case l.ResourceVersion != s.lease.ResourceVersion || l.UID != s.lease.UID:
		return nil, apierrors.NewConflict(leases, l.Name, nil)
	}
	s.version++
	s.lease = l.DeepCopy()
	s.lease.UID = types.UID("lease-" + string(rune('a'+s.uid)))
	s.lease.ResourceVersion = time.Duration(s.version).String()
	return s.lease.DeepCopy(), nil
}

func (s *apiServer) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = nil
}

// change is somebody with kubectl.
func (s *apiServer) change(holder string) {
	l, err := s.get()
	if err != nil {
		panic(err)
	}
	l.Spec.HolderIdentity = &holder
	if _, err := s.put(l, false); err != nil {
		panic(err)
	}
}

// holder is who holds the lease.
func (s *apiServer) holder() string {
	l, err := s.get()
	if err != nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// network is the way between one candidate and the API server. Its fields may be
// changed at any time.
type network struct {
	server *apiServer

	mu sync.Mutex
	// there and back are how long a request and its answer take.
	there, back time.Duration
	// deaf loses requests, mute loses answers.
	deaf, mute bool
	// faults, where it isn't nil, makes all of these up anew for each request.
	faults *rand.Rand
}

func (n *network) set(change func(*network)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// carry has the API server do something, whether or not somebody still waits for
// its answer by then.
func carry[T any](ctx context.Context, n *network, do func() (T, error)) (T, error) {
	n.mu.Lock()
	if n.faults != nil {
		n.there = time.Duration(n.faults.ExpFloat64() * float64(300*time.Millisecond))
		n.back = time.Duration(n.faults.ExpFloat64() * float64(300*time.Millisecond))
		if n.faults.IntN(10) == 0 {
			n.there *= 30
		}
		if n.faults.IntN(10) == 0 {
			n.back *= 30
		}
	}
	there, back, deaf, mute := n.there, n.back, n.deaf, n.mute
	n.mu.Unlock()

	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	n.server.underWay.Go(func() {
		if deaf {
			return
		}
		pause(context.Background(), there)
		value, err := do()
		if mute {
			return
		}
		pause(context.Background(), back)
		answered <- answer{value, err}
	})
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// client is a candidate's.
type client struct {
	kubernetes.Interface
	network *network
}

func (c client) CoordinationV1() coordinationclient.CoordinationV1Interface { return coordination(c) }

type coordination client

func (c coordination) RESTClient() rest.Interface { return nil }

func (c coordination) Leases(string) coordinationclient.LeaseInterface {
	return leaseClient{network: c.network}
}

type leaseClient struct {
	coordinationclient.LeaseInterface
	network *network
}

func (c leaseClient) Get(ctx context.Context, _ string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	return carry(ctx, c.network, c.network.server.get)
}

func (c leaseClient) Create(ctx context.Context, l *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	sent := l.DeepCopy()
	return carry(ctx, c.network, func() (*coordinationv1.Lease, error) { return c.network.server.put(sent, true) })
}

func (c leaseClient) Update(ctx context.Context, l *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	sent := l.DeepCopy()
	return carry(ctx, c.network, func() (*coordinationv1.Lease, error) { return c.network.server.put(sent, false) })
}

// watch is what a candidate knows of pods.
type watch struct {
	mu sync.Mutex
	// listed is what the API server has; refused, where it isn't nil, its answer.
	listed  []kube.PodRef
	refused error
	unseen  map[string]bool // by UID
	asked   []kube.PodRef   // last
}

func (w *watch) set(change func(*watch)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *watch) ListPods(context.Context) ([]kube.PodRef, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.listed), w.refused
}

func (w *watch) Absent(listed []kube.PodRef) []kube.PodRef {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = listed
	var out []kube.PodRef
	for _, p := range listed {
		if w.unseen[p.UID] {
			out = append(out, p)
		}
	}
	return out
}
