package kube

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/keda-headroom/headroom/internal/kedaapi"
	"github.com/keda-headroom/headroom/metrics"
)

// Rows of the two tables that other files name most.
type (
	jobRow = row[job]
	podRow = row[pod]
)

// ScaledObject returns a ScaledObject. Like all objects here it has only the
// fields that are used, and is shared: nobody may change what it leads to.
func (c *Cluster) ScaledObject(id metrics.ID) (kedaapi.ScaledObject, bool) {
	found, ok := lookUp(c.tables.scaledObjects, id)
	return found.object, ok && found.problem == ""
}

// ScaledObjects returns all that can be read, by namespace and name.
func (c *Cluster) ScaledObjects() []kedaapi.ScaledObject { return readable(c.tables.scaledObjects) }

// ScaledJob returns a ScaledJob. Of its Jobs' template there is no more than what
// decides about their number.
func (c *Cluster) ScaledJob(id metrics.ID) (kedaapi.ScaledJob, bool) {
	found, ok := lookUp(c.tables.scaledJobs, id)
	return found.object, ok && found.problem == ""
}

// ScaledJobs returns all that can be read, by namespace and name.
func (c *Cluster) ScaledJobs() []kedaapi.ScaledJob { return readable(c.tables.scaledJobs) }

// HPA returns a HorizontalPodAutoscaler, without its metrics and status.
func (c *Cluster) HPA(id metrics.ID) (autoscalingv2.HorizontalPodAutoscaler, bool) {
	return lookUp(c.tables.hpas, id)
}

// HPAs returns all there are, by namespace and name.
func (c *Cluster) HPAs() []autoscalingv2.HorizontalPodAutoscaler { return list(c.tables.hpas) }

// Deployment returns a Deployment, with its replicas and its strategy, and of its
// template our labels and the scheduling gates.
func (c *Cluster) Deployment(id metrics.ID) (appsv1.Deployment, bool) {
	return lookUp(c.tables.deployments, id)
}

// Deployments returns all there are, by namespace and name.
func (c *Cluster) Deployments() []appsv1.Deployment { return list(c.tables.deployments) }

// StatefulSet returns a StatefulSet, with the same fields as a Deployment has.
func (c *Cluster) StatefulSet(id metrics.ID) (appsv1.StatefulSet, bool) {
	return lookUp(c.tables.statefulSets, id)
}

// StatefulSets returns all there are, by namespace and name.
func (c *Cluster) StatefulSets() []appsv1.StatefulSet { return list(c.tables.statefulSets) }

// Refused says of each kind of object that the API server doesn't show us why:
// KEDA isn't installed, or a permission is missing. Workloads that need the kind
// can't be known; others can.
func (c *Cluster) Refused() []error {
	var out []error
	for _, t := range c.tables.each() {
		if err := t.refused(); err != nil {
			out = append(out, err)
		}
	}
	return out
}

func lookUp[T any](t *table[T], id metrics.ID) (T, bool) {
	found, ok := t.get(id.Namespace, id.Name)
	if !ok {
		var none T
		return none, false
	}
	return found.value, true
}

// list returns all values, by namespace and name.
func list[T any](t *table[T]) []T {
	rows := t.all()
	slices.SortFunc(rows, func(a, b *row[T]) int { return idOfRow(a).Compare(idOfRow(b)) })
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = r.value
	}
	return out
}

// readable returns all that could be read, by namespace and name.
func readable[T any](t *table[read[T]]) []T {
	var out []T
	for _, r := range list(t) {
		if r.problem == "" {
			out = append(out, r.object)
		}
	}
	return out
}

func idOfRow[T any](r *row[T]) metrics.ID {
	return metrics.ID{Namespace: r.namespace.Value(), Name: r.name}
}
