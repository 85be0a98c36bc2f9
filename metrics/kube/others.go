package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"

	"github.com/keda-headroom/headroom/metrics"
)

// forgetKinds is how long the API server's kinds are believed where one that is
// asked for is not among them.
const forgetKinds = 10 * time.Second

// others reads the scale subresource of whatever isn't watched, such as an Argo
// Rollout. Each is asked for at most every probeAge.
type others struct {
	scales scale.ScalesGetter
	mapper *restmapper.DeferredDiscoveryRESTMapper

	mu     sync.Mutex // one Read at a time, and the last may still go on
	asked  map[otherKey]answer
	forgot time.Time // when kinds were last asked for anew
}

type otherKey struct {
	apiVersion, kind string
	id               metrics.ID
}

type answer struct {
	at    time.Time // when it was asked for
	scale *autoscalingv1.Scale
	err   error
}

func newOthers(scales scale.ScalesGetter, mapper *restmapper.DeferredDiscoveryRESTMapper) *others {
	return &others{scales: scales, mapper: mapper, asked: map[otherKey]answer{}}
}

// get returns the scale of an object.
func (o *others) get(ctx context.Context, apiVersion, kind string, id metrics.ID) (*autoscalingv1.Scale, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for key, a := range o.asked {
		if now.Sub(a.at) > probeAge {
			delete(o.asked, key)
		}
	}
	key := otherKey{apiVersion, kind, id}
	a, ok := o.asked[key]
	if !ok {
		a = answer{at: now}
		a.scale, a.err = o.ask(ctx, apiVersion, kind, id)
		o.asked[key] = a
	}
	return a.scale, a.err
}

func (o *others) ask(ctx context.Context, apiVersion, kind string, id metrics.ID) (*autoscalingv1.Scale, error) {
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	mapping, err := o.mapper.RESTMapping(schema.GroupKind{Group: version.Group, Kind: kind}, version.Version)
	if meta.IsNoMatchError(err) {
		if time.Since(o.forgot) > forgetKinds {
			o.forgot = time.Now()
			o.mapper.Reset()
		}
		return nil, fmt.Errorf("%s %s: the API server has no kind %s in %s", kind, id, kind, apiVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: looking up its kind: %w", kind, id, err)
	}
	resource := mapping.Resource.GroupResource()
	found, err := o.scales.Scales(id.Namespace).Get(ctx, resource, id.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%s %s %w, or a kind without a scale subresource: %s", kind, id, errGone, said(err))
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("%s %s: needs permission to get %s/scale of %s: %s", kind, id, resource.Resource, version.Group, said(err))
	case err != nil:
		return nil, fmt.Errorf("%s %s: reading its scale subresource: %w", kind, id, err)
	}
	return found, nil
}

// other looks up a target by its scale subresource. Its pods are those that it or
// a ReplicaSet of its controls, and those of its selector whose controller is of
// a kind that Kubernetes doesn't have. How many pods its rollouts add or do without
// isn't known: as many as those of a Deployment that doesn't say.
func (s *source) other(ctx context.Context, apiVersion, kind string, id metrics.ID, l *looked) (workload, error) {
	found, err := s.others.get(ctx, apiVersion, kind, id)
	if err != nil {
		return workload{}, err
	}
	selected, err := labels.Parse(found.Status.Selector)
	if err != nil {
		return workload{}, fmt.Errorf("%s %s: status.selector of its scale subresource: %w", kind, id, err)
	}
	uid := string(found.UID)
	byReplicaSets := s.byReplicaSets(uid, l)
	l.namespaces[id.Namespace] = struct{}{}
	return workload{
		has: kind + " " + id.String(),
		Fleet: metrics.Fleet{
			SpecReplicas:   max(int(found.Spec.Replicas), 0),
			StatusReplicas: max(int(found.Status.Replicas), 0),
			MaxSurge:       rolloutDefault,
			MaxUnavailable: rolloutDefault,
		},
		pods: func() []metrics.Pod {
			pods := byReplicaSets()
			for _, p := range s.tables.pods.index(byForeign, id.Namespace) {
				bySelector := !selected.Empty() && selected.Matches(p.value.labels.Value())
				if bySelector || p.controller.Value() == uid {
					pods = append(pods, metric(p))
				}
			}
			return pods
		},
	}, nil
}
