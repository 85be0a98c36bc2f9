package policyconfigmap

import (
	"context"
	"log/slog"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/keda-headroom/headroom/metrics/poll"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// Label marks a ConfigMap that holds policies, when its value is "true".
const Label = "keda-headroom.github.io/policy"

// Options say where ConfigMaps are watched. Client is required.
type Options struct {
	Client kubernetes.Interface
	// Log is told when the ConfigMaps can't be watched, once while that lasts for
	// one cause; nil logs nothing.
	Log *slog.Logger
}

// Watcher tells what stands in ConfigMaps. Make one with [New], then Run it.
type Watcher struct {
	options  Options
	informer cache.SharedIndexInformer
	changed  *poll.Signal

	mu      sync.Mutex
	problem string // why they can't be watched
}

// New returns a watcher that has read nothing yet. It does no I/O.
func New(options Options) (*Watcher, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(options.Client, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = Label + "=true" }))
	w := &Watcher{options: options, informer: factory.Core().V1().ConfigMaps().Informer(), changed: poll.NewSignal()}
	if err := w.informer.SetTransform(trim); err != nil {
		return nil, err
	}
	if err := w.informer.SetWatchErrorHandler(w.failed); err != nil {
		return nil, err
	}
	_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.changed.Notify() },
		UpdateFunc: func(any, any) { w.changed.Notify() },
		DeleteFunc: func(any) { w.changed.Notify() },
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// trim keeps what is read of a ConfigMap.
func trim(object any) (any, error) {
	if m, ok := object.(*corev1.ConfigMap); ok {
		stopped, ok := m.Annotations[StoppedAnnotation]
		m.ManagedFields, m.Annotations, m.BinaryData = nil, nil, nil
		if ok {
			m.Annotations = map[string]string{StoppedAnnotation: stopped}
		}
	}
	return object, nil
}

// failed is told when listing or watching failed. The informer tries again by
// itself, and what it knows stays.
func (w *Watcher) failed(_ *cache.Reflector, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err.Error() == w.problem {
		return
	}
	w.problem = err.Error()
	w.options.Log.Warn("policies in ConfigMaps can't be watched: what is known of them stays; expected a ClusterRole with list and watch on configmaps, and an API server that answers",
		"problem", w.problem)
}

// Problem says why the ConfigMaps can't be watched, "" once they were read.
func (w *Watcher) Problem() string {
	if w.informer.HasSynced() {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problem == "" {
		return "policies in ConfigMaps were not read yet"
	}
	return "policies in ConfigMaps were not read yet: " + w.problem
}

// Run watches until ctx ends. What was found is judged when it was read for the
// first time, and then whenever something of it changes: by origin, which must not
// be together, for each ConfigMap has an age and an owner of its own.
func (w *Watcher) Run(ctx context.Context, origin *policies.Origin) {
	ctx = klog.NewContext(ctx, logr.Discard()) // failed says what goes wrong
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { w.informer.RunWithContext(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), w.informer.HasSynced) {
		return
	}
	for {
		select { // what was told before this look is seen by it
		case <-w.changed.C():
		default:
		}
		origin.Found(found(w.informer.GetStore().List()))
		select {
		case <-ctx.Done():
			return
		case <-w.changed.C():
		}
	}
}
