package kube

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/metrics/fleet"
)

// failing is a reading of all fleets that fails with these words.
func failing(words string) func(fleet.State, error) bool {
	return func(_ fleet.State, err error) bool { return err != nil && strings.Contains(err.Error(), words) }
}

func withPods(want ...string) func(fleet.State, error) bool {
	return func(s fleet.State, err error) bool { return err == nil && podsAre(s.Fleets[orders], want...) }
}

// TestTheAPIServerIsAway follows every way in which it may be, one after the
// other. Each time something happens meanwhile, and is known once it is back.
func TestTheAPIServerIsAway(t *testing.T) {
	server := newAPIServer(t)
	server.ordersFleet()
	var log lockedBuffer
	c := server.start(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	source := c.Fleets(ordersByScaledObject)
	eventually(t, c, source, "the first reading", withPods("a", "b", "c"))

	server.change(func() { server.ready = http.StatusInternalServerError })
	eventually(t, c, source, "a server that isn't ready", failing("it answers GET /readyz with HTTP status 500: [-]etcd failed"))
	server.remove(pods, "shop/a")
	server.change(func() { server.ready = http.StatusOK })
	eventually(t, c, source, "a server that is ready again", withPods("b", "c"))

	// Who may not ask is answered, and that is what counts.
	server.change(func() { server.refused["/readyz"] = http.StatusForbidden })
	asked := server.count("GET /readyz")
	eventually(t, c, source, "no permission to ask", func(_ fleet.State, err error) bool {
		return err == nil && server.count("GET /readyz") >= asked+2
	})
	server.change(func() { delete(server.refused, "/readyz") })

	server.unplug()
	eventually(t, c, source, "refused connections", failing("the Kubernetes API server can't be reached since "))
	server.remove(pods, "shop/b")
	server.plug()
	eventually(t, c, source, "connections again", withPods("c"))

	if err := server.network.Hang(); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, source, "a silent network", failing("no answer to GET /readyz within 3s"))
	server.set(pods, podOfSet("d", "rs-new", noonPast, "10.0.0.4"))
	server.plug()
	eventually(t, c, source, "a network that speaks again", withPods("c", "d"))

	// What was missed can't be told any more: everything is listed anew.
	server.unplug()
	eventually(t, c, source, "refused connections", failing("can't be reached"))
	server.remove(pods, "shop/c")
	server.set(pods, podOfSet("e", "rs-new", noonPast, "10.0.0.5"))
	server.change(func() { server.oldest = len(server.events) })
	server.plug()
	eventually(t, c, source, "a list", withPods("d", "e"))

	// However long it takes, one line says that it began for each kind, and why.
	if strings.Contains(log.String(), "https://") {
		t.Errorf("the log holds URLs:\n%s", log.String())
	}
}

// TestAWatchThatDoesNotOpen has the API server answer everything but one watch:
// what was listed before is not taken for current.
func TestAWatchThatDoesNotOpen(t *testing.T) {
	server := newAPIServer(t)
	server.ordersFleet()
	c := server.start(Options{})
	source := c.Fleets(ordersByScaledObject)
	eventually(t, c, source, "the first reading", withPods("a", "b", "c"))
	server.change(func() { server.refused[pods] = http.StatusServiceUnavailable })
	server.network.DropConnections()
	eventually(t, c, source, "no watch of pods", failing("listing and watching pods: "))
	server.remove(pods, "shop/a")
	server.change(func() { delete(server.refused, pods) })
	eventually(t, c, source, "a watch of pods", withPods("b", "c"))
}

// deafDialer makes connections that a test can make hang for good, while new ones
// work: what a load balancer leaves behind whose server is gone.
type deafDialer struct {
	mu    sync.Mutex
	conns []*deafConn
}

type deafConn struct {
	net.Conn
	deaf   chan struct{} // closed when nothing gets through any more
	closed chan struct{}
	once   sync.Once
}

func (d *deafDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &deafConn{Conn: conn, deaf: make(chan struct{}), closed: make(chan struct{})}
	d.conns = append(d.conns, c)
	return c, nil
}

func (d *deafDialer) deafen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		close(c.deaf)
	}
	d.conns = nil
}

func (c *deafConn) isDeaf() bool {
	select {
	case <-c.deaf:
		return true
	default:
		return false
	}
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.isDeaf() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *deafConn) Write(b []byte) (int, error) {
	if c.isDeaf() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *deafConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestAHalfOpenConnectionIsGivenUp(t *testing.T) {
	server := newAPIServer(t)
	server.ordersFleet()
	dialer := &deafDialer{}
	var config *rest.Config
	c := server.startWith(Options{}, func(to *rest.Config) {
		to.Dial = dialer.dial
		config = to
	})
	source := c.Fleets(ordersByScaledObject)
	eventually(t, c, source, "the first reading", withPods("a", "b", "c"))

	dialer.deafen()
	began := time.Now()
	server.remove(pods, "shop/a")
	eventually(t, c, source, "silence", func(_ fleet.State, err error) bool { return err != nil })
	eventually(t, c, source, "a new connection", withPods("b", "c"))
	// HTTP/2's own check would have needed 45 s.
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("a half-open connection was given up after %s", took)
	}
	if config.QPS != 0 {
		t.Error("the caller's config was changed")
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	server := newAPIServer(t)
	server.refused[scaledObjects] = http.StatusNotFound // KEDA isn't installed
	server.refused[scaledJobs] = http.StatusNotFound
	server.refused[deployments] = http.StatusForbidden
	var log lockedBuffer
	c := server.start(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	var mu sync.Mutex
	refs := []Reference{{Workload: orders, ScaledObject: "order-workers"}}
	source := c.Fleets(func() []Reference {
		mu.Lock()
		defer mu.Unlock()
		return refs
	})
	want := func(what, words string) {
		t.Helper()
		eventually(t, c, source, what, func(s fleet.State, err error) bool { return err == nil && s.Missing[orders] == words })
	}
	want("no KEDA", "the API server has no scaledobjects.keda.sh/v1alpha1: is KEDA installed?")
	refuse := func(path string, status int) {
		server.change(func() {
			delete(server.refused, path)
			if status != 0 {
				server.refused[path] = status
			}
		})
	}
	refuse(scaledObjects, 0)
	refuse(scaledJobs, 0)
	want("no ScaledObject", "ScaledObject shop/order-workers not found")
	server.set(scaledObjects, `{"metadata": {"namespace": "shop", "name": "order-workers", "uid": "so-1"}, "spec": {"scaleTargetRef": {"name": "orders"}, "maxReplicaCount": "many"}}`)
	eventually(t, c, source, "a ScaledObject that can't be read", func(s fleet.State, err error) bool {
		return err == nil && strings.HasPrefix(s.Missing[orders], "ScaledObject shop/order-workers: expected what kedaapi.ScaledObject says")
	})
	if _, ok := c.ScaledObject(orders); ok || len(c.ScaledObjects()) != 0 {
		t.Error("a ScaledObject that can't be read is listed")
	}
	server.ordersFleet()
	want("no permission", "needs permission to list and watch deployments.apps in all namespaces: refused /apis/apps/v1/deployments for the test (ScaledObject shop/order-workers scales it)")
	eventually(t, c, source, "one kind that is refused", func(fleet.State, error) bool {
		refused := c.Refused()
		return len(refused) == 1 && strings.Contains(refused[0].Error(), "deployments.apps")
	})
	refuse(deployments, 0)
	eventually(t, c, source, "everything", withPods("a", "b", "c"))
	server.remove(deployments, "shop/orders")
	want("no target", "Deployment shop/orders not found (ScaledObject shop/order-workers scales it)")
	mu.Lock()
	refs = []Reference{{Workload: orders, ScaledJob: "order-jobs"}}
	mu.Unlock()
	want("no ScaledJob", "ScaledJob shop/order-jobs not found")
	mu.Lock()
	refs = []Reference{{Workload: orders}}
	mu.Unlock()
	want("no reference", "expected one of a ScaledObject, a ScaledJob, a target and a selector of pods for shop/order-workers, found 0 of them")

	for _, words := range []string{
		`level=WARN msg="watching Kubernetes fails" kind=scaledobjects problem="the API server has no scaledobjects.keda.sh/v1alpha1: is KEDA installed?"`,
		`level=INFO msg="watching Kubernetes works again" kind=scaledobjects`,
	} {
		if strings.Count(log.String(), words) != 1 {
			t.Errorf("want once in the log: %s\n%s", words, log.String())
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestOnlyChangesOfWhatIsReadAreTold(t *testing.T) {
	server := newAPIServer(t)
	server.ordersFleet()
	var log lockedBuffer
	c := server.start(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	source := c.Fleets(ordersByScaledObject)
	eventually(t, c, source, "the first reading", withPods("a", "b", "c"))
	drain := func() bool {
		select {
		case <-c.Changed():
			return true
		default:
			return false
		}
	}
	kept := func(path string) {
		t.Helper()
		deadline := time.Now().Add(patience)
		for _, ok := c.tables.pods.get("shop", path); !ok; _, ok = c.tables.pods.get("shop", path) {
			if time.Now().After(deadline) {
				t.Fatalf("%s never came", path)
			}
			<-time.After(time.Millisecond)
		}
	}
	drain()

	// Others' pods, and the same pods once more, change nothing.
	server.set(pods, podOfSet("stranger", "rs-other", noonPast, "10.0.0.19"), podOfSet("a", "rs-old", noon, "10.0.0.1"),
		podOfSet("marker", "rs-other", noon, ""))
	kept("marker")
	if drain() {
		t.Error("a change of somebody else's pods was told")
	}
	for name, change := range map[string]func(){
		"a pod": func() { server.set(pods, podOfSet("d", "rs-new", noonPast, "10.0.0.4")) },
		"a ReplicaSet": func() {
			server.set(replicaSets, `{"metadata": {"namespace": "shop", "name": "orders-newer", "uid": "rs-newer", `+controlled("apps/v1", "Deployment", "deploy-1")+`}}`)
		},
		"the Deployment": func() {
			server.set(deployments, `{"metadata": {"namespace": "shop", "name": "orders", "uid": "deploy-1"}, "spec": {"replicas": 9}}`)
		},
		"the HPA": func() { server.remove(hpas, "shop/keda-hpa-order-workers") },
		"the ScaledObject": func() {
			server.set(scaledObjects, `{"metadata": {"namespace": "shop", "name": "order-workers", "uid": "so-1"}, "spec": {"scaleTargetRef": {"name": "orders"}, "maxReplicaCount": 41}}`)
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := source.Read(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		drain()
		change()
		select {
		case <-c.Changed():
		case <-time.After(patience):
			t.Errorf("a change of %s was never told", name)
		}
	}

	// A grant that can't be read is said once.
	bad := `{"metadata": {"namespace": "shop", "name": "d", "uid": "uid-d", "labels": {"n": "%"}, "annotations": {"keda-headroom.github.io/grant": "five"}, ` + controlled("apps/v1", "ReplicaSet", "rs-new") + `}}`
	server.set(pods, bad, strings.Replace(bad, "%", "2", 1), podOfSet("marker-2", "rs-other", noon, ""))
	kept("marker-2")
	if got := strings.Count(log.String(), `msg="the grant of a pod can't be read`); got != 1 {
		t.Errorf("said %d times, want once:\n%s", got, log.String())
	}
}

func TestRunIsCalledOnce(t *testing.T) {
	for what, options := range map[string]Options{
		"expected a config": {},
		"expected a default tolerance above 0 and up to 1": {Config: &rest.Config{}, DefaultTolerance: 1.5},
	} {
		if _, err := New(options); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want an error with %q", err, what)
		}
	}
	c, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fleets(ordersByScaledObject).Read(t.Context()); err == nil || !strings.Contains(err.Error(), "not started") {
		t.Errorf("before Run: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Run(ctx); err == nil {
		t.Error("Run ran twice")
	}
	if _, err := c.Fleets(ordersByScaledObject).Read(t.Context()); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("after Run: %v", err)
	}
}
