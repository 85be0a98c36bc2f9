package kube

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

// Reference says by which object of its namespace KEDA scales a workload. Exactly
// one of ScaledObject and ScaledJob is set.
type Reference struct {
	Workload     metrics.ID
	ScaledObject string
	ScaledJob    string
}

// Fleets returns a source of the workloads that references returns at the time of
// each reading. It reads from memory, and fails where what is in memory may not
// be what the API server has.
func (c *Cluster) Fleets(references func() []Reference) fleet.Source {
	return &source{Cluster: c, references: references, others: newOthers(c.scales, c.mapper)}
}

// source is a fleet.Source.
type source struct {
	*Cluster
	references func() []Reference
	others     *others
}

// workload is a fleet whose pods are still to be listed.
type workload struct {
	metrics.Fleet
	pods func() []metrics.Pod
}

// Read returns the fleets of all workloads, or why one can't be known.
func (s *source) Read(ctx context.Context) (fleet.State, error) {
	if err := s.Fresh(ctx); err != nil {
		return fleet.State{}, err
	}
	out := fleet.State{Fleets: map[metrics.ID]metrics.Fleet{}, Missing: map[metrics.ID]string{}}
	found := map[metrics.ID]workload{}
	l := newLooked()
	for _, ref := range s.references() {
		w, err := s.find(ctx, ref, l)
		if err != nil {
			out.Missing[ref.Workload] = err.Error()
			continue
		}
		found[ref.Workload] = w
	}
	// Pods are listed after this, so that none that comes later is overlooked.
	s.looked.Store(l)
	for id, w := range found {
		w.Pods = sorted(w.pods())
		out.Fleets[id] = w.Fleet
	}
	return out, nil
}

// find looks up a workload, all but its pods.
func (s *source) find(ctx context.Context, ref Reference, l *looked) (workload, error) {
	switch {
	case ref.ScaledObject != "" && ref.ScaledJob == "":
		return s.scaledObject(ctx, metrics.ID{Namespace: ref.Workload.Namespace, Name: ref.ScaledObject}, l)
	case ref.ScaledJob != "" && ref.ScaledObject == "":
		return s.scaledJob(metrics.ID{Namespace: ref.Workload.Namespace, Name: ref.ScaledJob}, l)
	}
	return workload{}, fmt.Errorf("expected a ScaledObject or a ScaledJob for %s, found %q and %q", ref.Workload, ref.ScaledObject, ref.ScaledJob)
}

// needs returns why the API server doesn't show one of these kinds.
func needs(tables ...anyTable) error {
	for _, t := range tables {
		if err := t.refused(); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) scaledObject(ctx context.Context, id metrics.ID, l *looked) (workload, error) {
	t := &s.tables
	l.at(t.scaledObjects.kind, id)
	if err := needs(t.scaledObjects, t.hpas, t.pods); err != nil {
		return workload{}, err
	}
	row, ok := t.scaledObjects.get(id.Namespace, id.Name)
	if !ok {
		return workload{}, fmt.Errorf("ScaledObject %s not found", id)
	}
	if row.value.problem != "" {
		return workload{}, fmt.Errorf("ScaledObject %s: %s", id, row.value.problem)
	}
	o := row.value.object
	l.below(row.uid) // its HPA
	l.at(t.hpas.kind, metrics.ID{Namespace: id.Namespace, Name: o.HPAName()})
	kind, name := o.Target()
	target := metrics.ID{Namespace: id.Namespace, Name: name}
	w, err := s.target(ctx, o, kind, target, l)
	if err != nil {
		return workload{}, fmt.Errorf("%w (ScaledObject %s scales it)", err, id)
	}
	w.MinReplicas, w.MaxReplicas = bounds(o, w.SpecReplicas)
	w.HPA = s.follows(o)
	return w, nil
}

// target looks up what a ScaledObject scales.
func (s *source) target(ctx context.Context, o kedaapi.ScaledObject, kind string, id metrics.ID, l *looked) (workload, error) {
	group := "apps"
	if o.Spec.ScaleTargetRef.APIVersion != "" {
		version, err := schema.ParseGroupVersion(o.Spec.ScaleTargetRef.APIVersion)
		if err != nil {
			return workload{}, fmt.Errorf("%s %s: %w", kind, id, err)
		}
		group = version.Group
	}
	t := &s.tables
	switch {
	case group == "apps" && kind == "Deployment":
		return s.deployment(id, l)
	case group == "apps" && kind == kindStatefulSet:
		return s.statefulSet(id, l)
	}
	if err := needs(t.replicaSets); err != nil {
		return workload{}, err
	}
	return s.other(ctx, o.Spec.ScaleTargetRef.APIVersion, kind, id, l)
}

func (s *source) deployment(id metrics.ID, l *looked) (workload, error) {
	t := &s.tables
	l.at(t.deployments.kind, id)
	if err := needs(t.deployments, t.replicaSets); err != nil {
		return workload{}, err
	}
	d, ok := t.deployments.get(id.Namespace, id.Name)
	if !ok {
		return workload{}, fmt.Errorf("Deployment %s not found", id)
	}
	return workload{
		Fleet: metrics.Fleet{
			SpecReplicas:   count(d.value.Spec.Replicas, 1),
			StatusReplicas: max(int(d.value.Status.Replicas), 0),
			MaxSurge:       maxSurge(d.value.Spec.Strategy),
		},
		pods: s.byReplicaSets(d.uid, l),
	}, nil
}

// byReplicaSets returns a list of the pods of all ReplicaSets that an object
// controls, each with its ReplicaSet's revision.
func (s *source) byReplicaSets(uid string, l *looked) func() []metrics.Pod {
	l.below(uid)
	sets := s.tables.replicaSets.controlled(uid)
	for _, set := range sets {
		l.below(set.uid)
	}
	return func() []metrics.Pod {
		var pods []metrics.Pod
		for _, set := range sets {
			for _, p := range s.tables.pods.controlled(set.uid) {
				pod := metric(p)
				pod.Revision = set.value
				pods = append(pods, pod)
			}
		}
		return pods
	}
}

func (s *source) statefulSet(id metrics.ID, l *looked) (workload, error) {
	t := &s.tables
	l.at(t.statefulSets.kind, id)
	if err := needs(t.statefulSets, t.revisions); err != nil {
		return workload{}, err
	}
	set, ok := t.statefulSets.get(id.Namespace, id.Name)
	if !ok {
		return workload{}, fmt.Errorf("StatefulSet %s not found", id)
	}
	l.below(set.uid)
	return workload{
		Fleet: metrics.Fleet{
			SpecReplicas:   count(set.value.Spec.Replicas, 1),
			StatusReplicas: max(int(set.value.Status.Replicas), 0),
		},
		pods: func() []metrics.Pod {
			var pods []metrics.Pod
			for _, p := range t.pods.controlled(set.uid) {
				pod := metric(p)
				pod.Ordinal = ordinalOf(p.name)
				if revision, ok := t.revisions.get(id.Namespace, p.value.revision.Value()); ok {
					pod.Revision = revision.value
				}
				pods = append(pods, pod)
			}
			return pods
		},
	}, nil
}

func (s *source) scaledJob(id metrics.ID, l *looked) (workload, error) {
	t := &s.tables
	l.at(t.scaledJobs.kind, id)
	if err := needs(t.scaledJobs, t.jobs, t.pods); err != nil {
		return workload{}, err
	}
	row, ok := t.scaledJobs.get(id.Namespace, id.Name)
	if !ok {
		return workload{}, fmt.Errorf("ScaledJob %s not found", id)
	}
	if row.value.problem != "" {
		return workload{}, fmt.Errorf("ScaledJob %s: %s", id, row.value.problem)
	}
	l.below(row.uid)
	counted := t.jobs.index(byScaledJob, id.String())
	all := counted
	for _, j := range t.jobs.controlled(row.uid) {
		if !slices.Contains(counted, j) {
			all = append(all, j)
		}
	}
	for _, j := range all {
		l.below(j.uid)
	}
	o := row.value.object
	jobs := jobsOf(o, counted, func(j *jobRow) []*podRow { return t.pods.controlled(j.uid) })
	return workload{
		Fleet: metrics.Fleet{
			SpecReplicas: jobs.Running, StatusReplicas: jobs.Running,
			MinReplicas: max(o.Min(), 0), MaxReplicas: max(o.Max(), 0),
			Jobs: &jobs,
		},
		pods: func() []metrics.Pod {
			var pods []metrics.Pod
			for _, j := range all {
				for _, p := range t.pods.controlled(j.uid) {
					pods = append(pods, metric(p))
				}
			}
			return pods
		},
	}, nil
}
