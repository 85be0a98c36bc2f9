package kube

import (
	"context"
	"log/slog"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// byScaledJob is the index of Jobs by the ScaledJob that KEDA counts them for,
// "namespace/name"; byForeign that of pods by namespace, where their labels alone
// lead to them; byGate that of pods with our gate.
const (
	byScaledJob = "scaledjob"
	byForeign   = "foreign"
	byGate      = "gate"
)

// tables are all objects that are kept.
type tables struct {
	scaledObjects *table[read[kedaapi.ScaledObject]]
	scaledJobs    *table[read[kedaapi.ScaledJob]]
	hpas          *table[autoscalingv2.HorizontalPodAutoscaler]
	deployments   *table[appsv1.Deployment]
	statefulSets  *table[appsv1.StatefulSet]
	replicaSets   *table[int64] // their revisions
	revisions     *table[int64] // of StatefulSets, by the revision's name
	jobs          *table[job]
	pods          *table[pod]
}

// anyTable is what all tables have in common.
type anyTable interface {
	run(context.Context)
	live() bool
	expire(failed time.Time)
	refused() error
	why() string
}

func (t *tables) each() []anyTable {
	return []anyTable{t.scaledObjects, t.scaledJobs, t.hpas, t.deployments, t.statefulSets, t.replicaSets, t.revisions, t.jobs, t.pods}
}

func (t *tables) runs() []func(context.Context) {
	var runs []func(context.Context)
	for _, table := range t.each() {
		runs = append(runs, table.run)
	}
	return runs
}

// behind returns a table that is not live and may yet become so; nil where there
// is none.
func (t *tables) behind() anyTable {
	for _, table := range t.each() {
		if !table.live() && table.refused() == nil {
			return table
		}
	}
	return nil
}

// client is the part of a typed or untyped client that lists and watches.
type client[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// watchedBy returns the objects that a client lists and watches.
func watchedBy[L runtime.Object](group, kind string, c client[L], log *slog.Logger) *watched {
	return &watched{
		kind: kind, group: group, watch: c.Watch, log: log,
		list: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := c.List(ctx, options)
			if err != nil {
				return nil, err // and not a list that is nil
			}
			return list, nil
		},
	}
}

func newTables(typed kubernetes.Interface, untyped dynamic.Interface, log *slog.Logger) tables {
	keda := func(resource string) *watched {
		return watchedBy[*unstructured.UnstructuredList](kedaapi.Group, resource,
			untyped.Resource(schema.GroupVersionResource{Group: kedaapi.Group, Version: kedaapi.Version, Resource: resource}), log)
	}
	apps := typed.AppsV1()
	return tables{
		scaledObjects: newTable(keda("scaledobjects"), kedaObject("ScaledObject"), untypedAs(scaledObjectOf), nil),
		scaledJobs:    newTable(keda("scaledjobs"), kedaObject("ScaledJob"), untypedAs(scaledJobOf), nil),
		hpas: newTable(watchedBy("autoscaling", "horizontalpodautoscalers", typed.AutoscalingV2().HorizontalPodAutoscalers(""), log),
			&autoscalingv2.HorizontalPodAutoscaler{}, typedAs(hpaOf), nil),
		deployments: newTable(watchedBy("apps", "deployments", apps.Deployments(""), log),
			&appsv1.Deployment{}, typedAs(deploymentOf), nil),
		statefulSets: newTable(watchedBy("apps", "statefulsets", apps.StatefulSets(""), log),
			&appsv1.StatefulSet{}, typedAs(statefulSetOf), nil),
		replicaSets: newTable(watchedBy("apps", "replicasets", apps.ReplicaSets(""), log),
			&appsv1.ReplicaSet{}, typedAs(replicaSetOf), nil),
		revisions: newTable(watchedBy("apps", "controllerrevisions", apps.ControllerRevisions(""), log),
			&appsv1.ControllerRevision{}, typedAs(controllerRevisionOf), nil),
		jobs: newTable(watchedBy("batch", "jobs", typed.BatchV1().Jobs(""), log),
			&batchv1.Job{}, typedAs(jobOf), cache.Indexers{byScaledJob: jobsByScaledJob}),
		pods: newPodTable(watchedBy("", "pods", typed.CoreV1().Pods(""), log)),
	}
}

func newPodTable(w *watched) *table[pod] {
	t := newTable(w, &corev1.Pod{}, typedAs(podOf), cache.Indexers{byForeign: foreignPods, byGate: gatedPods})
	t.same = samePod
	return t
}

// kedaObject is an object of KEDA's without anything in it.
func kedaObject(kind string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: kedaapi.Group, Version: kedaapi.Version, Kind: kind})
	return object
}
