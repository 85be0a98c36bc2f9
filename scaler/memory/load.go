package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// Loaded is what was remembered.
type Loaded struct {
	// Ledger is what the first decision is given.
	Ledger policy.Ledger
	// Kept are the last good policies.
	Kept []policies.Kept
}

// Load reads what was remembered. What can't be understood is said in the log,
// and then missing. It fails where the API server does not give the objects.
func (s *Store) Load(ctx context.Context) (Loaded, error) {
	if err := s.identify(ctx); err != nil {
		return Loaded{}, err
	}
	list, err := s.options.Client.CoreV1().ConfigMaps(s.options.Installation.Namespace).List(ctx, metav1.ListOptions{LabelSelector: Label + "=true"})
	if err != nil {
		return Loaded{}, fmt.Errorf("read what was remembered, in ConfigMaps of namespace %s with the label %s: %w", s.options.Installation.Namespace, Label, err)
	}
	var records []record
	now := time.Now()
	for i := range list.Items {
		m := &list.Items[i]
		r, err := read(m)
		if err != nil {
			s.options.Log.Warn("a memory object can't be understood: its database is one that was never watched",
				"configmap", m.Namespace+"/"+m.Name, "problem", err.Error())
			continue
		}
		if r.Installation != s.options.Installation {
			s.options.Log.Warn("a memory object was written by another installation, and is taken over: was the cluster restored, or the object copied?",
				"configmap", m.Namespace+"/"+m.Name, "by", r.Installation.String())
		}
		q, err := readQueues(m)
		if err != nil {
			s.options.Log.Warn("what was learned of queues can't be understood: it is learned anew",
				"configmap", m.Namespace+"/"+m.Name, "problem", err.Error())
		}
		r.queues = q
		records = append(records, r)
		s.written[r.Database] = written{record: r, plan: m.Data[planKey]}
	}
	return merge(records, now), nil
}

// identify finds out which cluster this is, where that was not given.
func (s *Store) identify(ctx context.Context) error {
	if s.options.Installation.Cluster != "" {
		return nil
	}
	system, err := s.options.Client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		s.options.Log.Warn("which cluster this is can't be known: expected a ClusterRole with get on namespaces, resourceNames [kube-system]", "problem", err.Error())
		s.options.Installation.Cluster = unknownCluster
	case err != nil:
		return fmt.Errorf("read the namespace %s: %w", metav1.NamespaceSystem, err)
	default:
		s.options.Installation.Cluster = string(system.UID)
	}
	return nil
}

// unknownCluster stands for a UID that may not be read.
const unknownCluster = "unknown"

// read reads one object.
func read(m *corev1.ConfigMap) (record, error) {
	text, ok := m.Data[dataKey]
	if !ok {
		return record{}, fmt.Errorf("expected a key %s, found none", dataKey)
	}
	r, err := parse([]byte(text))
	if err != nil {
		return record{}, fmt.Errorf("%s: %w", dataKey, err)
	}
	if want := Name(r.Database); m.Name != want {
		return record{}, fmt.Errorf("expected the object of database %s to be called %s", r.Database, want)
	}
	return r, nil
}

// merge makes one ledger of all records, for who goes on at now. Of several versions
// of one policy, or of one queue's past, the one that was written last is right.
func merge(records []record, now time.Time) Loaded {
	slices.SortFunc(records, func(a, b record) int { return a.Written.Compare(b.Written) })
	out := Loaded{Ledger: policy.Ledger{Databases: map[metrics.ID]policy.DatabaseMemory{}, Workloads: map[metrics.ID]policy.WorkloadMemory{}}}
	type address struct{ origin, key string }
	kept := map[address]policies.Kept{}
	for _, r := range records {
		out.Ledger.Databases[r.Database] = policy.DatabaseMemory{Server: r.Server, Last: r.Last, Others: r.Others}
		for id, w := range r.Workloads {
			m := out.Ledger.Workloads[id]
			m.PerPod = maps.Clone(m.PerPod)
			if m.PerPod == nil {
				m.PerPod = map[metrics.ID]policy.Peak{}
			}
			if len(w.PerPod.Values) > 0 {
				m.PerPod[r.Database] = w.PerPod
			}
			if latest(w.Told).After(latest(m.Told)) {
				m.Told = w.Told
			}
			if f, ok := r.queues[id]; ok {
				m.Flow = f.Resume(now)
			}
			out.Ledger.Workloads[id] = m
		}
		for _, p := range r.Policies {
			kept[address{p.Origin, p.Key}] = p.kept()
		}
	}
	for _, k := range kept {
		out.Kept = append(out.Kept, k)
	}
	slices.SortFunc(out.Kept, func(a, b policies.Kept) int {
		if a.Origin != b.Origin {
			return strings.Compare(a.Origin, b.Origin)
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}

// latest is when a peak was last added to, the zero time where it never was.
func latest(p policy.Peak) time.Time {
	if len(p.Values) == 0 {
		return time.Time{}
	}
	return p.Values[len(p.Values)-1].At
}
