package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/fleet"
)

// Reference says by what the pods of a workload are found, in its own namespace.
// Exactly one of the others is set.
type Reference struct {
	Workload metrics.ID
	// ScaledObject and ScaledJob are names of objects by which KEDA scales it.
	ScaledObject string
	ScaledJob    string
	// Target has the pods, whoever scales it.
	Target *Target
	// PodSelector are labels that the pods have, whoever made them.
	PodSelector map[string]string
	// Leaving is true of a workload that is governed no more but for what has to be
	// let go. Pods of another workload are not its own.
	Leaving bool
}

// Target names an object with a scale subresource. All fields are set.
type Target struct {
	APIVersion string // "apps/v1"
	Kind       string
	Name       string
}

// unbounded is the most replicas of what nobody bounds.
const unbounded = math.MaxInt32

// Fleets returns a source of the workloads that references returns at the time of
// each reading. It reads from memory, and fails where what is in memory may not
// be what the API server has.
func (c *Cluster) Fleets(references func() []Reference) fleet.Source {
	return &source{Cluster: c, references: references}
}

// source is a fleet.Source.
type source struct {
	*Cluster
	references func() []Reference
}

// workload is a fleet whose pods are still to be listed.
type workload struct {
	metrics.Fleet
	pods func() []metrics.Pod
	// alone is true where the number of its pods is the number of its replicas,
	// since nobody else counts them.
	alone bool
	// has names what has the pods, "" where nothing does; gating is true where it
	// makes pods with our gate.
	has    string
	gating bool
}

// errGone ends the sentence on an object that isn't there.
var errGone = errors.New("not found")

// Read returns the fleets of all workloads, or why one can't be known.
func (s *source) Read(ctx context.Context) (fleet.State, error) {
	if err := s.Fresh(ctx); err != nil {
		return fleet.State{}, err
	}
	out := fleet.State{Fleets: map[metrics.ID]metrics.Fleet{}, Missing: map[metrics.ID]string{}}
	found := map[metrics.ID]workload{}
	l := newLooked()
	references := s.references()
	s.selections.keep(selected(references), s.tables.pods.all)
	for _, ref := range references {
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
	leave(references, out.Fleets)
	for id, w := range found {
		if w.alone {
			f := out.Fleets[id]
			f.SpecReplicas = living(f.Pods)
			f.StatusReplicas = f.SpecReplicas
			out.Fleets[id] = f
		}
	}
	s.targets.keep(references)
	return out, nil
}

// leave takes the pods from workloads that leave that are somebody else's by now.
func leave(references []Reference, fleets map[metrics.ID]metrics.Fleet) {
	taken := map[string]bool{}
	leaving := false
	for _, ref := range references {
		leaving = leaving || ref.Leaving
	}
	if !leaving {
		return
	}
	for _, ref := range references {
		for _, p := range fleets[ref.Workload].Pods {
			taken[p.UID] = taken[p.UID] || !ref.Leaving
		}
	}
	for _, ref := range references {
		if f, ok := fleets[ref.Workload]; ok && ref.Leaving {
			f.Pods = slices.DeleteFunc(f.Pods, func(p metrics.Pod) bool { return taken[p.UID] })
			fleets[ref.Workload] = f
		}
	}
}

// find looks up a workload, all but its pods.
func (s *source) find(ctx context.Context, ref Reference, l *looked) (workload, error) {
	given := 0
	for _, is := range []bool{ref.ScaledObject != "", ref.ScaledJob != "", ref.Target != nil, len(ref.PodSelector) > 0} {
		if is {
			given++
		}
	}
	in := ref.Workload.Namespace
	switch {
	case given != 1:
		return workload{}, fmt.Errorf("expected one of a ScaledObject, a ScaledJob, a target and a selector of pods for %s, found %d of them", ref.Workload, given)
	case ref.ScaledObject != "":
		return s.scaledObject(ctx, metrics.ID{Namespace: in, Name: ref.ScaledObject}, l)
	case ref.ScaledJob != "":
		return s.scaledJob(metrics.ID{Namespace: in, Name: ref.ScaledJob}, l)
	case ref.Target != nil:
		return s.scaled(ctx, *ref.Target, in, l)
	}
	return s.alone(selectionOf(in, ref.PodSelector))
}

// selected returns what workloads select by labels.
func selected(references []Reference) []selection {
	var out []selection
	for _, ref := range references {
		if len(ref.PodSelector) > 0 {
			out = append(out, selectionOf(ref.Workload.Namespace, ref.PodSelector))
		}
	}
	return out
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
		return workload{}, fmt.Errorf("ScaledObject %s %w", id, errGone)
	}
	if row.value.problem != "" {
		return workload{}, fmt.Errorf("ScaledObject %s: %s", id, row.value.problem)
	}
	o := row.value.object
	l.below(row.uid) // its HPA
	l.at(t.hpas.kind, metrics.ID{Namespace: id.Namespace, Name: o.HPAName()})
	kind, name := o.Target()
	target := metrics.ID{Namespace: id.Namespace, Name: name}
	s.targets.note(id, Target{APIVersion: cmp.Or(o.Spec.ScaleTargetRef.APIVersion, "apps/v1"), Kind: kind, Name: name})
	w, err := s.target(ctx, o.Spec.ScaleTargetRef.APIVersion, kind, target, l)
	if err != nil {
		return workload{}, fmt.Errorf("%w (ScaledObject %s scales it)", err, id)
	}
	w.MinReplicas, w.MaxReplicas = bounds(o, w.SpecReplicas)
	w.HPA = s.follows(o)
	return w, nil
}

// scaled looks up what has a workload's pods, where whoever scales it, if anybody,
// is none of our business: it is free to move between no replicas and any number.
func (s *source) scaled(ctx context.Context, t Target, namespace string, l *looked) (workload, error) {
	if err := needs(s.tables.pods); err != nil {
		return workload{}, err
	}
	w, err := s.target(ctx, t.APIVersion, t.Kind, metrics.ID{Namespace: namespace, Name: t.Name}, l)
	if err != nil {
		return workload{}, err
	}
	w.MaxReplicas = unbounded
	return w, nil
}

// alone looks up pods that are selected by their labels. Each stands for itself:
// as many as there are, are wanted.
func (s *source) alone(w selection) (workload, error) {
	t := &s.tables
	if err := needs(t.pods); err != nil {
		return workload{}, err
	}
	return workload{
		Fleet: metrics.Fleet{MaxReplicas: unbounded},
		alone: true,
		pods: func() []metrics.Pod {
			var pods []metrics.Pod
			for _, key := range s.selections.of(w, t.pods.all) {
				if p, ok := t.pods.keyed(key); ok && w.selects(p) {
					pods = append(pods, metric(p))
				}
			}
			return pods
		},
	}, nil
}

// living counts the pods that neither end nor have ended.
func living(pods []metrics.Pod) int {
	n := 0
	for _, p := range pods {
		if !p.Terminating && !p.Finished {
			n++
		}
	}
	return n
}

// target looks up what has the pods. An apiVersion of "" is that of Deployments.
func (s *source) target(ctx context.Context, apiVersion, kind string, id metrics.ID, l *looked) (workload, error) {
	group := "apps"
	if apiVersion != "" {
		version, err := schema.ParseGroupVersion(apiVersion)
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
	return s.other(ctx, apiVersion, kind, id, l)
}

func (s *source) deployment(id metrics.ID, l *looked) (workload, error) {
	t := &s.tables
	l.at(t.deployments.kind, id)
	if err := needs(t.deployments, t.replicaSets); err != nil {
		return workload{}, err
	}
	d, ok := t.deployments.get(id.Namespace, id.Name)
	if !ok {
		return workload{}, fmt.Errorf("Deployment %s %w", id, errGone)
	}
	return workload{
		Fleet: metrics.Fleet{
			SpecReplicas:   count(d.value.Spec.Replicas, 1),
			StatusReplicas: max(int(d.value.Status.Replicas), 0),
			MaxSurge:       maxSurge(d.value.Spec.Strategy),
			MaxUnavailable: maxUnavailable(d.value.Spec.Strategy),
		},
		pods: s.byReplicaSets(d.uid, l),
		has:  "Deployment " + id.String(), gating: gating(d.value.Spec.Template),
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
		return workload{}, fmt.Errorf("StatefulSet %s %w", id, errGone)
	}
	l.below(set.uid)
	return workload{
		has: "StatefulSet " + id.String(), gating: gating(set.value.Spec.Template),
		Fleet: metrics.Fleet{
			SpecReplicas:   count(set.value.Spec.Replicas, 1),
			StatusReplicas: max(int(set.value.Status.Replicas), 0),
			MaxUnavailable: setMaxUnavailable(set.value.Spec.UpdateStrategy),
			Ordered:        ordered(set.value.Spec.PodManagementPolicy),
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
		return workload{}, fmt.Errorf("ScaledJob %s %w", id, errGone)
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
		has: "ScaledJob " + id.String(), gating: gating(o.Spec.JobTargetRef.Template),
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
