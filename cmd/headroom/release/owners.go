package release

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/keda-headroom/headroom/internal/described"
	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// scaledJobLabel is how KEDA finds the Jobs of a ScaledJob.
const scaledJobLabel = "scaledjob.keda.sh/name"

// between are what may stand between a pod and what a policy names.
var between = map[string]schema.GroupVersionResource{
	"ReplicaSet": {Group: "apps", Version: "v1", Resource: "replicasets"},
	"Job":        {Group: "batch", Version: "v1", Resource: "jobs"},
}

// owners knows what makes the pods of one namespace, as far as its policies refer
// to it.
type owners struct {
	namespace string
	config    *rest.Config
	kinds     map[string]map[string]metav1.ObjectMeta // of between, by kind and UID
	keda      *inventory.Inventory                    // nil before it was needed
}

// belongs returns whether a pod is of a workload. The names of policies and owners
// are looked up when they are first needed.
func (o *owners) belongs(ctx context.Context, w described.Workload) (func(*corev1.Pod) (bool, error), error) {
	switch {
	case len(w.PodSelector) > 0:
		selector := labels.SelectorFromSet(w.PodSelector)
		return func(p *corev1.Pod) (bool, error) { return selector.Matches(labels.Set(p.Labels)), nil }, nil
	case w.ScaledJob != "":
		return func(p *corev1.Pod) (bool, error) { return o.ofScaledJob(ctx, p, w.ScaledJob) }, nil
	case w.ScaleTarget != nil:
		group, _, _ := strings.Cut(w.ScaleTarget.APIVersion, "/")
		return func(p *corev1.Pod) (bool, error) {
			return o.ofTarget(ctx, p, group, w.ScaleTarget.Kind, w.ScaleTarget.Name)
		}, nil
	}
	object, err := o.scaledObject(ctx, cmp.Or(w.ScaledObject, w.ID.Name))
	if err != nil {
		return nil, fmt.Errorf("workload %s: %w", w.ID, err)
	}
	kind, name := object.Target()
	group, _, _ := strings.Cut(cmp.Or(object.Spec.ScaleTargetRef.APIVersion, "apps/v1"), "/")
	return func(p *corev1.Pod) (bool, error) { return o.ofTarget(ctx, p, group, kind, name) }, nil
}

func (o *owners) scaledObject(ctx context.Context, name string) (kedaapi.ScaledObject, error) {
	if o.keda == nil {
		in, err := inventory.Read(ctx, o.config, o.namespace, inventory.ScaledObjects)
		if err != nil {
			return kedaapi.ScaledObject{}, err
		}
		o.keda = &in
	}
	for _, object := range o.keda.ScaledObjects {
		if object.Name == name {
			return object, nil
		}
	}
	return kedaapi.ScaledObject{}, fmt.Errorf("expected the ScaledObject %s/%s, by which its policy finds its pods, found none: release --all does without", o.namespace, name)
}

// ofTarget reports whether an object has a pod, itself or by a ReplicaSet.
func (o *owners) ofTarget(ctx context.Context, p *corev1.Pod, group, kind, name string) (bool, error) {
	is := func(owner *metav1.OwnerReference) bool {
		has, _, _ := strings.Cut(owner.APIVersion, "/")
		return has == group && owner.Kind == kind && owner.Name == name
	}
	owner := metav1.GetControllerOf(p)
	if owner == nil || is(owner) {
		return owner != nil, nil
	}
	set, ok, err := o.controller(ctx, owner, "ReplicaSet")
	if !ok || err != nil {
		return false, err
	}
	above := metav1.GetControllerOf(&set)
	return above != nil && is(above), nil
}

// ofScaledJob reports whether a Job of a ScaledJob has a pod.
func (o *owners) ofScaledJob(ctx context.Context, p *corev1.Pod, name string) (bool, error) {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return false, nil
	}
	job, ok, err := o.controller(ctx, owner, "Job")
	if !ok || err != nil {
		return false, err
	}
	above := metav1.GetControllerOf(&job)
	return job.Labels[scaledJobLabel] == name || (above != nil && above.Kind == "ScaledJob" && above.Name == name), nil
}

// controller returns what a reference to one of a kind leads to.
func (o *owners) controller(ctx context.Context, owner *metav1.OwnerReference, kind string) (metav1.ObjectMeta, bool, error) {
	resource := between[kind]
	if owner.Kind != kind || owner.APIVersion != resource.GroupVersion().String() {
		return metav1.ObjectMeta{}, false, nil
	}
	if o.kinds[kind] == nil {
		if err := o.list(ctx, kind, resource); err != nil {
			return metav1.ObjectMeta{}, false, err
		}
	}
	found, ok := o.kinds[kind][string(owner.UID)]
	return found, ok, nil
}

// list reads all of a kind, and of each only what it is called and who controls it.
func (o *owners) list(ctx context.Context, kind string, resource schema.GroupVersionResource) error {
	client, err := metadata.NewForConfig(o.config)
	if err != nil {
		return fmt.Errorf("find a cluster: %w", err)
	}
	byUID := map[string]metav1.ObjectMeta{}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := client.Resource(resource).Namespace(o.namespace).List(ctx, options)
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("expected permission to list %s in namespace %s: %w", resource.GroupResource(), o.namespace, err)
		}
		if err != nil {
			return fmt.Errorf("list %s in namespace %s: %w", resource.GroupResource(), o.namespace, err)
		}
		for i := range page.Items {
			byUID[string(page.Items[i].UID)] = page.Items[i].ObjectMeta
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	if o.kinds == nil {
		o.kinds = map[string]map[string]metav1.ObjectMeta{}
	}
	o.kinds[kind] = byUID
	return nil
}
