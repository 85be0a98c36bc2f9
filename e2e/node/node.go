package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/keda-headroom/headroom/internal/process"
)

// Node is a running stand-in. Make one with [Start]. Its methods may be called
// from several goroutines.
type Node struct {
	options Options
	client  kubernetes.Interface
	config  *rest.Config
	dir     string
	remove  bool // dir, at the end

	// reachable ends when the node is lost or closed: it neither hears of the API
	// nor speaks to it any more. alive ends when its processes have to.
	reachable, alive context.Context
	isolate, kill    context.CancelFunc

	speaking sync.WaitGroup // heartbeats, informer
	working  sync.WaitGroup // pods, and a loss that goes on

	mu     sync.Mutex
	pods   map[types.UID]*pod
	frozen bool // by a loss: nothing starts any more
}

// Start registers a Node and returns when it is ready for pods. It runs until
// Close, which has to be called; ctx bounds the start alone.
func Start(ctx context.Context, o Options) (*Node, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{options: o, dir: o.Dir, config: rest.CopyConfig(o.Config), pods: map[types.UID]*pod{}}
	n.config.QPS = -1
	n.config.ContentType = "application/vnd.kubernetes.protobuf"
	n.config.AcceptContentTypes = n.config.ContentType + ",application/json"
	if n.client, err = kubernetes.NewForConfig(n.config); err != nil {
		return nil, fmt.Errorf("node %s: %w", o.Name, err)
	}
	if n.dir == "" {
		if n.dir, err = os.MkdirTemp("", "headroom-node-"); err != nil {
			return nil, err
		}
		n.remove = true
	}
	for _, name := range []string{"logs", "pods"} {
		if err := os.MkdirAll(filepath.Join(n.dir, name), 0o700); err != nil {
			return nil, errors.Join(err, n.removeFiles())
		}
	}
	n.alive, n.kill = context.WithCancel(context.Background())
	n.reachable, n.isolate = context.WithCancel(n.alive)
	if err := n.register(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("node %s: %w", o.Name, err), n.Close())
	}
	n.speaking.Go(n.heartbeat)
	if err := n.watch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("node %s: %w", o.Name, err), n.Close())
	}
	return n, nil
}

// Name is the Node's.
func (n *Node) Name() string { return n.options.Name }

// Logs is the directory of the containers' logs.
func (n *Node) Logs() string { return filepath.Join(n.dir, "logs") }

// Processes is how many processes run at this moment.
func (n *Node) Processes() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, p := range n.pods {
		if p.process() != nil {
			count++
		}
	}
	return count
}

// Process is the one of a pod's container, nil while none runs. Killing or pausing it
// is what a container meets that crashes or that its machine does not let run.
func (n *Node) Process(namespace, pod string) *process.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		if p.namespace == namespace && p.podName == pod {
			if running := p.process(); running != nil {
				return running
			}
		}
	}
	return nil
}

// Close kills all processes, without telling the API, and returns when nothing
// is left running. The Node object stays.
func (n *Node) Close() error {
	n.kill()
	n.speaking.Wait()
	n.working.Wait()
	return n.removeFiles()
}

func (n *Node) removeFiles() error {
	if n.remove {
		return os.RemoveAll(n.dir)
	}
	return os.RemoveAll(filepath.Join(n.dir, "pods"))
}

// Loss is how a node is lost.
type Loss struct {
	// DeleteNode deletes the Node object, as a cloud's controller does of a
	// machine that is gone. Else the Node becomes NotReady when its Lease is old.
	DeleteNode bool
	// Freeze stops the processes where they are: their connections stay open, and
	// nothing comes through them, as of a machine without power. Else they go on,
	// as on a machine that is merely cut off from the API.
	Freeze bool
	// Linger is how long the processes and their connections are still there, as
	// until servers notice that nobody answers.
	Linger time.Duration
}

// Lose loses the node, for good: it neither speaks to the API nor listens to it
// any more. It returns when the API has been told what Loss says; what lingers
// is killed later, at Close at the latest.
func (n *Node) Lose(ctx context.Context, l Loss) error {
	n.isolate()
	n.speaking.Wait()
	n.mu.Lock()
	n.frozen = l.Freeze
	for _, p := range n.pods {
		if running := p.process(); running != nil && l.Freeze {
			if err := running.Pause(); err != nil {
				n.options.Log.Warn("freeze a process", "pod", p.name(), "error", err)
			}
		}
	}
	n.mu.Unlock()
	n.working.Go(func() {
		timer := time.NewTimer(l.Linger)
		defer timer.Stop()
		select {
		case <-timer.C:
			n.kill()
		case <-n.alive.Done():
		}
	})
	if !l.DeleteNode {
		return nil
	}
	if err := n.client.CoreV1().Nodes().Delete(ctx, n.options.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("node %s: delete it: %w", n.options.Name, err)
	}
	return nil
}

// watch hears of the pods that are bound to the node, and returns when it knows
// those that are there.
func (n *Node) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", n.options.Name).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { n.see(o.(*corev1.Pod)) },
		UpdateFunc: func(before, now any) {
			if was := before.(*corev1.Pod); was.UID != now.(*corev1.Pod).UID {
				n.miss(was.UID) // deleted and made again while nobody watched
			}
			n.see(now.(*corev1.Pod))
		},
		DeleteFunc: func(o any) {
			if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = unknown.Obj
			}
			n.miss(o.(*corev1.Pod).UID)
		},
	})
	if err != nil {
		return err
	}
	n.speaking.Go(func() { informer.Run(n.reachable.Done()) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("list its pods: %w", context.Cause(ctx))
	}
	return nil
}

// see takes in what the API says of a pod.
func (n *Node) see(object *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reachable.Err() != nil {
		return
	}
	if p := n.pods[object.UID]; p != nil {
		p.update(object)
		return
	}
	p := newPod(n, object)
	n.pods[object.UID] = p
	n.working.Go(func() {
		p.run()
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.pods, object.UID)
	})
}

// miss takes in that the API has no such pod any more.
func (n *Node) miss(uid types.UID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pods[uid]; p != nil && n.reachable.Err() == nil {
		p.remove()
	}
}
