package secret

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/keda-headroom/headroom/metrics"
)

// How long a list or a watch that failed waits before it is tried again.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// watched is one Secret that is watched: the store that a Reflector writes into.
type watched struct {
	cache.Store
	id    metrics.ID
	users int
	end   context.CancelFunc

	synced, refused chan struct{} // closed at the first answer, or refusal
	onSync, onError func()

	mu  sync.Mutex
	err error // of the last attempt
}

func newWatched(id metrics.ID) *watched {
	w := &watched{
		Store: cache.NewStore(cache.MetaNamespaceKeyFunc), id: id,
		synced: make(chan struct{}), refused: make(chan struct{}),
	}
	w.onSync = sync.OnceFunc(func() { close(w.synced) })
	w.onError = sync.OnceFunc(func() { close(w.refused) })
	return w
}

// run watches until ctx ends.
func (w *watched) run(ctx context.Context, client kubernetes.Interface) {
	secrets := client.CoreV1().Secrets(w.id.Namespace)
	alone := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, w.id.Name).String()
		return o
	}
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := secrets.List(ctx, alone(o))
			w.note(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			opened, err := secrets.Watch(ctx, alone(o))
			w.note(err)
			return opened, err
		},
	}, client)
	quiet := logr.Discard() // whoever reads is told
	cache.NewReflectorWithOptions(source, &corev1.Secret{}, w, cache.ReflectorOptions{
		Logger: &quiet, Name: "Secret " + w.id.String(),
		Backoff: &wait.Backoff{Duration: firstRetry, Cap: lastRetry, Factor: 2, Jitter: 0.5, Steps: 10},
	}).RunWithContext(klog.NewContext(ctx, quiet))
}

// note remembers how the last attempt ended.
func (w *watched) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	if apierrors.IsForbidden(err) {
		w.onError()
	}
}

// problem returns why the Secret can't be read: what the last attempt said while
// nothing was read yet, and later only that the right was withdrawn.
func (w *watched) problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read() && !apierrors.IsForbidden(w.err) {
		return nil
	}
	return w.err
}

func (w *watched) read() bool {
	select {
	case <-w.synced:
		return true
	default:
		return false
	}
}

// Replace is told of everything that there is.
func (w *watched) Replace(objects []any, version string) error {
	if err := w.Store.Replace(objects, version); err != nil {
		return err
	}
	w.onSync()
	return nil
}

// data returns what the Secret holds, and whether it is there.
func (w *watched) data() (map[string][]byte, bool) {
	object, there, err := w.GetByKey(w.id.String())
	if s, ok := object.(*corev1.Secret); ok && there && err == nil {
		return s.Data, true
	}
	return nil, false
}
