package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/e2e/scenario"
	"github.com/keda-headroom/headroom/internal/otherapp"
)

// otherAddress is where the other application connects from.
const otherAddress = "127.2.0.1"

const (
	setUpTimeout    = 5 * time.Minute
	tearDownTimeout = 2 * time.Minute
	waitPeriod      = 500 * time.Millisecond
)

// lane is one contender in one run of a scenario.
type lane struct {
	stage    *stage
	scenario scenario.Scenario
	variant  contender.Variant
	seed     int
	lane     contender.Lane // as its templates see it

	database *database
	queues   *queues
	others   *otherapp.App
	nodes    []*node.Node
	replicas *replicas
	watcher  *watcher
	workers  tally
	web      tally

	watching sync.WaitGroup
	unwatch  context.CancelFunc
	stopping sync.Once

	// What was at the beginning of the timeline, and its end.
	begin, end       time.Time
	before, after    counts
	firstMessage     time.Time
	firstMessageOnce sync.Once
	failed           failures
}

// counts are those that only grow.
type counts struct {
	others   otherapp.Counts
	awsCalls int
}

// failures gathers what went wrong in a lane that goes on.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *failures) all() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

// setUp returns when the lane is ready for the timeline.
func (l *lane) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, setUpTimeout, fmt.Errorf("lane %s: not ready within %s", l.lane.Namespace, setUpTimeout))
	defer cancel()
	if err := l.startServers(ctx); err != nil {
		return fmt.Errorf("lane %s: %w", l.lane.Namespace, err)
	}
	if err := l.startFleets(ctx); err != nil {
		return fmt.Errorf("lane %s: %w", l.lane.Namespace, err)
	}
	return nil
}

// startServers starts what is outside the cluster, and begins to watch.
func (l *lane) startServers(ctx context.Context) (err error) {
	if l.database, err = startDatabase(ctx, l.scenario); err != nil {
		return err
	}
	var names []string
	for _, f := range l.scenario.Expand() {
		names = append(names, f.Name)
	}
	if l.queues, err = startQueues(ctx, names); err != nil {
		return err
	}
	if l.lane.Database, err = l.database.endpoint(); err != nil {
		return err
	}
	l.lane.AWS = l.queues.endpoint()
	l.lane.Fleets = contender.Fleets(l.scenario, func(fleet string) string { return l.queues.urls[fleet] })
	// Not ctx, which ends with the beginning.
	l.others, err = otherapp.Start(context.WithoutCancel(ctx), otherapp.Options{
		DSN: l.database.dsn(otherRole), Address: otherAddress, Held: l.scenario.Others.Held,
		ShortEvery: l.scenario.Others.ShortEvery.Duration(), Events: l.web.add,
	})
	return err
}

// startFleets starts what is in the cluster, and waits until it stands.
func (l *lane) startFleets(ctx context.Context) error {
	client, namespace := l.stage.cluster.Client(), l.lane.Namespace
	for i := range max(l.scenario.Nodes, 1) {
		n, err := l.stage.startNode(ctx, fmt.Sprintf("%s-%d", namespace, i), nodeOf{lane: namespace, worker: l.workers.line})
		if err != nil {
			return err
		}
		l.nodes = append(l.nodes, n)
	}
	if err := l.stage.cluster.Apply(ctx, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n")); err != nil {
		return err
	}
	for _, f := range l.lane.Fleets {
		if _, err := client.AppsV1().Deployments(namespace).Create(ctx, deployment(l.lane, f, l.variant.StartReplicas(f), l.variant.Gate), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	following, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	l.unwatch = unwatch
	var err error
	if l.replicas, err = followReplicas(following, client, namespace); err != nil {
		return err
	}
	l.watcher = &watcher{database: l.database, pods: l.processes, target: l.replicas.target, left: l.queues.left}
	l.watching.Go(func() { l.watcher.watch(following) })
	if err := l.applyManifests(ctx); err != nil {
		return err
	}
	return wait(ctx, "its fleets to stand", func() (bool, error) {
		ready, err := l.scaledObjectsReady(ctx)
		return ready && l.replicas.allReady(len(l.lane.Fleets)), err
	})
}

// processes are the pods whose process runs, whatever the API says of them.
func (l *lane) processes() int {
	n := 0
	for _, one := range l.nodes {
		n += one.Processes()
	}
	return n
}

func (l *lane) applyManifests(ctx context.Context) error {
	manifests, err := l.variant.Manifests(l.lane)
	if err != nil {
		return err
	}
	manifests, err = inNamespace(manifests, l.lane.Namespace)
	if err != nil {
		return err
	}
	return l.stage.cluster.Apply(ctx, manifests)
}

var scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

// scaledObjectsReady says whether KEDA calls every ScaledObject ready.
func (l *lane) scaledObjectsReady(ctx context.Context) (bool, error) {
	list, err := l.stage.cluster.Dynamic().Resource(scaledObjects).Namespace(l.lane.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, item := range list.Items {
		if !hasCondition(item.Object, "Ready") {
			return false, nil
		}
	}
	return true, nil
}

// hasCondition says whether a condition in the status of an object is True.
func hasCondition(object map[string]any, kind string) bool {
	status, _ := object["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] == kind {
			return condition["status"] == string(corev1.ConditionTrue)
		}
	}
	return false
}

// count returns what has been counted so far.
func (l *lane) count() counts {
	return counts{l.others.Counts(), l.queues.autoscalerCalls()}
}

// tearDown ends everything and returns when nothing of it runs any more. The
// database goes on: its log has yet to be read.
func (l *lane) tearDown() {
	l.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), tearDownTimeout)
		defer cancel()
		background := metav1.DeletePropagationBackground
		err := l.stage.cluster.Client().CoreV1().Namespaces().Delete(ctx, l.lane.Namespace, metav1.DeleteOptions{PropagationPolicy: &background})
		if err == nil {
			l.failed.add(wait(ctx, "namespace "+l.lane.Namespace+" to be deleted", func() (bool, error) { return l.gone(ctx) }))
		}
		for _, n := range l.nodes {
			l.failed.add(n.Close())
			l.failed.add(l.stage.forgetNode(ctx, n))
		}
		if l.unwatch != nil {
			l.unwatch()
		}
		l.watching.Wait()
		if l.others != nil {
			l.others.Stop()
		}
		if l.queues != nil {
			l.queues.stop()
		}
	})
}

// close ends the rest.
func (l *lane) close() error {
	l.tearDown()
	if l.database == nil {
		return nil
	}
	return l.database.stop()
}

// wait asks again and again until it is so. Where it can't be asked, it asks
// again, too.
func wait(ctx context.Context, what string, is func() (bool, error)) error {
	var last error
	for {
		ok, err := is()
		if ok && err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if !sleepUntil(ctx, time.Now().Add(waitPeriod)) {
			return errors.Join(fmt.Errorf("waited for %s: %w", what, context.Cause(ctx)), last)
		}
	}
}
