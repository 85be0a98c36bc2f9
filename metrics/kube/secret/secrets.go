package secret

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/metrics"
)

// Options of [New]. Client is required.
type Options struct {
	Client kubernetes.Interface
	// Reader is who we are to the API server, as errors name it to who has to
	// grant the right: "ServiceAccount headroom of namespace headroom". "" is
	// "Headroom's ServiceAccount".
	Reader string
}

// Secrets are those in use, each watched once. Make them with [New]. Methods may
// be called at any time from anywhere.
type Secrets struct {
	options Options
	alive   context.Context
	end     context.CancelFunc

	mu      sync.Mutex
	watches map[metrics.ID]*watched
	running sync.WaitGroup
}

// New returns Secrets of which none is in use yet.
func New(options Options) *Secrets {
	if options.Reader == "" {
		options.Reader = "Headroom's ServiceAccount"
	}
	s := &Secrets{options: options, watches: map[metrics.ID]*watched{}}
	s.alive, s.end = context.WithCancel(context.Background())
	return s
}

// Close ends every watch. Values can't be read afterwards.
func (s *Secrets) Close() {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.running.Wait()
}

// Key returns one key of a Secret, which is watched from now on until Close of
// the last of its values. It doesn't wait.
func (s *Secrets) Key(id metrics.ID, key string) *Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[id]
	if w == nil {
		var ctx context.Context
		w = newWatched(id)
		ctx, w.end = context.WithCancel(s.alive)
		s.watches[id] = w
		s.running.Go(func() { w.run(ctx, s.options.Client) })
	}
	w.users++
	v := &Value{id: id, key: key, secrets: s, watched: w}
	v.release = sync.OnceFunc(v.free)
	return v
}

// Value is one key of a Secret.
type Value struct {
	id      metrics.ID
	key     string
	secrets *Secrets
	watched *watched
	release func()
}

// String names it: "Secret platform/orders-db-monitor key dsn".
func (v *Value) String() string { return fmt.Sprintf("Secret %s key %s", v.id, v.key) }

// Close says that the value is not needed any more. The error is always nil.
func (v *Value) Close() error {
	v.release()
	return nil
}

func (v *Value) free() {
	v.secrets.mu.Lock()
	defer v.secrets.mu.Unlock()
	if v.watched.users--; v.watched.users == 0 {
		v.watched.end()
		delete(v.secrets.watches, v.id)
	}
}
