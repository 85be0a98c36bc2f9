package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/keda-headroom/headroom/internal/argoapi"
	"github.com/keda-headroom/headroom/internal/kedaapi"
)

// pageSize is how many objects one answer has at most.
const pageSize = 500

// Resources that can be read.
var (
	ScaledObjects = schema.GroupVersionResource{Group: kedaapi.Group, Version: kedaapi.Version, Resource: "scaledobjects"}
	ScaledJobs    = schema.GroupVersionResource{Group: kedaapi.Group, Version: kedaapi.Version, Resource: "scaledjobs"}
	HPAs          = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	Deployments   = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	StatefulSets  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	DaemonSets    = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
	CronJobs      = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}
	Services      = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	// Rollouts are Argo's, and DisruptionBudgets PodDisruptionBudgets. Both can be
	// done without.
	Rollouts          = schema.GroupVersionResource{Group: argoapi.Group, Version: argoapi.Version, Resource: "rollouts"}
	DisruptionBudgets = schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}
	// Injectors are MutatingAdmissionPolicies, and Bound their bindings. Neither is in
	// a namespace, and both can be done without.
	Injectors = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingadmissionpolicies"}
	Bound     = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingadmissionpolicybindings"}
	// Policies are ConfigMaps with the label of policies; others are not read.
	Policies = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// withoutIt can be done without.
var withoutIt = map[schema.GroupVersionResource]bool{CronJobs: true, Rollouts: true, DisruptionBudgets: true, Injectors: true, Bound: true}

// Read lists the resources of one namespace, or of all where it is "". What it
// may not list is told all at once, with the permission that is missing; what can
// be done without, in Unread.
func Read(ctx context.Context, config *rest.Config, namespace string, resources ...schema.GroupVersionResource) (Inventory, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return Inventory{}, fmt.Errorf("find a cluster: %w", err)
	}
	in := Inventory{Live: true}
	in.injectorsKnown = slices.Contains(resources, Injectors) && slices.Contains(resources, Bound)
	var wrong []error
	for _, resource := range resources {
		namespace := namespace
		if resource == Injectors || resource == Bound {
			namespace = ""
		}
		err := in.list(ctx, client, namespace, resource)
		switch {
		case err == nil:
		case apierrors.IsNotFound(err) && resource.Group == kedaapi.Group:
			in.Missing = append(in.Missing, fmt.Sprintf("the cluster has no %s.%s: KEDA is not installed", resource.Resource, resource.Group))
		case apierrors.IsNotFound(err) && (resource == Rollouts || resource == Injectors || resource == Bound):
			// Most clusters have no Argo, and earlier ones no such admission policies.
		case apierrors.IsForbidden(err) && withoutIt[resource]:
			in.injectorsKnown = in.injectorsKnown && resource != Injectors && resource != Bound
			in.Unread = append(in.Unread, fmt.Sprintf("%s%s are not known: that needs permission to list them", name(resource), where(namespace)))
		case apierrors.IsForbidden(err):
			wrong = append(wrong, fmt.Errorf("expected permission to list %s%s: grant the verb list in a Role or ClusterRole: %w", name(resource), where(namespace), err))
		default:
			return Inventory{}, fmt.Errorf("list %s%s: %w", name(resource), where(namespace), err)
		}
	}
	return in, errors.Join(wrong...)
}

func name(r schema.GroupVersionResource) string { return r.GroupResource().String() }

func where(namespace string) string {
	if namespace == "" {
		return " in all namespaces"
	}
	return " in namespace " + namespace
}

func (i *Inventory) list(ctx context.Context, client dynamic.Interface, namespace string, resource schema.GroupVersionResource) error {
	options := metav1.ListOptions{}
	if resource == Policies {
		options.LabelSelector = PolicyLabel + "=true"
	}
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return client.Resource(resource).Namespace(namespace).List(ctx, o)
	})
	p.PageSize = pageSize
	p.PageBufferSize = 1
	return p.EachListItem(ctx, options, func(object runtime.Object) error {
		u, ok := object.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("expected an object of %s, found %T", name(resource), object)
		}
		return i.take(resource, u)
	})
}

// take keeps one object.
func (i *Inventory) take(resource schema.GroupVersionResource, u *unstructured.Unstructured) error {
	if resource == Policies {
		var c corev1.ConfigMap
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &c); err != nil {
			return err
		}
		i.Policies = append(i.Policies, c)
		return nil
	}
	text, err := u.MarshalJSON()
	if err != nil {
		return err
	}
	kinds := map[string]string{
		"scaledobjects": "ScaledObject", "scaledjobs": "ScaledJob", "horizontalpodautoscalers": "HorizontalPodAutoscaler",
		"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet", "cronjobs": "CronJob", "services": "Service",
		"rollouts": "Rollout", "poddisruptionbudgets": "PodDisruptionBudget",
		"mutatingadmissionpolicies": "MutatingAdmissionPolicy", "mutatingadmissionpolicybindings": "MutatingAdmissionPolicyBinding",
	}
	_, _, err = i.Add(resource.GroupVersion().String(), kinds[resource.Resource], u.GetNamespace(), text)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", u.GetNamespace(), u.GetName(), err)
	}
	return nil
}

// Keys returns the keys of a ConfigMap's values, in order.
func Keys(c corev1.ConfigMap) []string {
	keys := make([]string, 0, len(c.Data))
	for key := range c.Data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
