package memory

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// Label marks a memory object, when its value is "true".
const Label = "keda-headroom.github.io/memory"

// Keys of an object's data.
const (
	dataKey   = "memory.json"
	queuesKey = "queues.json"
	planKey   = "plan"
)

// Defaults of [Options].
const (
	// DefaultRiseInterval is the shortest time between two writes of an object
	// that has something to add.
	DefaultRiseInterval = 5 * time.Second
	// DefaultPlanInterval is the shortest time between two writes of one whose
	// plan or times alone have changed.
	DefaultPlanInterval = 30 * time.Second
)

// Options of [New]. Client and Installation are required.
type Options struct {
	Client kubernetes.Interface
	// Installation is who writes, and its Namespace where. Load finds out its
	// Cluster where that is "".
	Installation Installation
	// RiseInterval and PlanInterval bound how often an object is written, 0 for
	// the defaults.
	RiseInterval, PlanInterval time.Duration
	// Leads reports whether this process leads. One that doesn't writes nothing:
	// it may know less than the one that does. nil always leads.
	Leads func() bool
	// Shared is told when another installation remembers the same server, once;
	// object is our own one's name. nil tells nobody but the log.
	Shared func(object, sentence string)
	// Log is told what can't be read or written; nil logs nothing.
	Log *slog.Logger
}

// Store keeps the memory objects of one installation. Make one with [New].
type Store struct {
	options Options

	mu   sync.Mutex
	kept []policies.Describing

	written map[metrics.ID]written // used by Run alone
	problem string                 // that was logged last
	shared  map[string]bool        // of which was warned
}

// written is what an object was last made to say.
type written struct {
	record record
	plan   string
	at     time.Time
	left   string
}

// New returns a store that has read nothing yet.
func New(options Options) *Store {
	if options.RiseInterval <= 0 {
		options.RiseInterval = DefaultRiseInterval
	}
	if options.PlanInterval <= 0 {
		options.PlanInterval = DefaultPlanInterval
	}
	if options.Leads == nil {
		options.Leads = func() bool { return true }
	}
	if options.Shared == nil {
		options.Shared = func(string, string) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{options: options, written: map[metrics.ID]written{}, shared: map[string]bool{}}
}

// Keep replaces the policies that are kept. It doesn't wait.
func (s *Store) Keep(kept []policies.Describing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = kept
}

// save writes an object, over whatever is there.
func (s *Store) save(ctx context.Context, w written) (left string, err error) {
	r := w.record
	data, left, err := encode(r)
	if err != nil {
		return "", err
	}
	learned, leftOfQueues, err := encodeQueues(r.queues)
	if err != nil {
		return "", err
	}
	left = cmp.Or(left, leftOfQueues)
	maps := s.options.Client.CoreV1().ConfigMaps(s.options.Installation.Namespace)
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.options.Installation.Namespace, Name: Name(r.Database),
			Labels: map[string]string{Label: "true", "app.kubernetes.io/managed-by": "headroom"},
			Annotations: map[string]string{
				"keda-headroom.github.io/database": r.Database.String(),
			},
		},
		Data: map[string]string{dataKey: string(data), planKey: w.plan},
	}
	if len(learned) > 0 {
		object.Data[queuesKey] = string(learned)
	}
	// Without a resourceVersion: the object is ours alone, and what we know is newer.
	_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, object, metav1.CreateOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("write ConfigMap %s/%s: %w", object.Namespace, object.Name, err)
	}
	return left, nil
}

// drop deletes the object of a database that nobody describes any more: what
// was watched then says nothing of later.
func (s *Store) drop(ctx context.Context, database metrics.ID) error {
	err := s.options.Client.CoreV1().ConfigMaps(s.options.Installation.Namespace).Delete(ctx, Name(database), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// warn says once that other installations remember a server of ours.
func (s *Store) warn(ctx context.Context, servers map[string]metrics.ID) error {
	list, err := s.options.Client.CoreV1().ConfigMaps(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: Label + "=true"})
	if err != nil {
		return fmt.Errorf("look for other installations: %w", err)
	}
	for i := range list.Items {
		m := &list.Items[i]
		if m.Namespace == s.options.Installation.Namespace {
			continue
		}
		r, err := read(m)
		if err != nil || r.Server == "" || time.Since(r.Written) > 2*time.Hour {
			continue
		}
		database, ours := servers[r.Server]
		if !ours || s.shared[m.Namespace+"/"+m.Name] {
			continue
		}
		s.shared[m.Namespace+"/"+m.Name] = true
		sentence := fmt.Sprintf("%s governs the server of database %s too, as database %s: neither knows what the other has promised, so that both may fill the same free slots",
			r.Installation, database, r.Database)
		s.options.Log.Warn("two installations on one database", "database", database.String(), "problem", sentence)
		s.options.Shared(Name(database), sentence)
	}
	return nil
}

// current returns what should be remembered now, by database.
func (s *Store) current(state *scaler.State) map[metrics.ID]written {
	s.mu.Lock()
	kept := s.kept
	s.mu.Unlock()
	out := map[metrics.ID]written{}
	for _, d := range state.Decisions {
		for _, database := range d.Group.Databases {
			r := recordOf(d, database.ID)
			r.Installation, r.Written = s.options.Installation, state.At.UTC()
			r.queues = queuesOf(d, database.ID)
			for _, k := range concerning(kept, state.Set, database.ID) {
				p, err := keep(k)
				if err != nil {
					s.options.Log.Warn("a policy can't be kept over a restart", "policy", k.Source.Where, "problem", err.Error())
					continue
				}
				r.Policies = append(r.Policies, p)
			}
			out[database.ID] = written{record: r, plan: inShort(d.Plan, database.ID)}
		}
	}
	return out
}
