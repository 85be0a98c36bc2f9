package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/keda-headroom/headroom/e2e/bench/result"
)

// replicas follows the Deployments of a namespace.
type replicas struct {
	mu     sync.Mutex
	fleets map[string]*fleetReplicas
}

// fleetReplicas is one Deployment.
type fleetReplicas struct {
	spec, ready int
	changes     []change
}

// change is a new value of spec.replicas.
type change struct {
	at time.Time
	to int
}

// followReplicas returns once the Deployments that are there are known, and
// follows them until ctx ends.
func followReplicas(ctx context.Context, client kubernetes.Interface, namespace string) (*replicas, error) {
	r := &replicas{fleets: map[string]*fleetReplicas{}}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	informer := factory.Apps().V1().Deployments().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { r.see(o, time.Now()) },
		UpdateFunc: func(_, o any) { r.see(o, time.Now()) },
	}); err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.Join(errors.New("follow Deployments: never heard of any"), context.Cause(ctx))
	}
	return r, nil
}

func (r *replicas) see(o any, at time.Time) {
	d, is := o.(*appsv1.Deployment)
	if !is || d.Spec.Replicas == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.fleets[d.Name]
	if f == nil {
		f = &fleetReplicas{}
		r.fleets[d.Name] = f
	}
	f.spec, f.ready = int(*d.Spec.Replicas), int(d.Status.ReadyReplicas)
	if n := len(f.changes); n == 0 || f.changes[n-1].to != f.spec {
		f.changes = append(f.changes, change{at, f.spec})
	}
}

// target is spec.replicas of all fleets.
func (r *replicas) target() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, f := range r.fleets {
		n += f.spec
	}
	return n
}

// allReady says whether so many Deployments have all of their replicas ready.
func (r *replicas) allReady(deployments int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.fleets {
		if f.ready != f.spec {
			return false
		}
	}
	return len(r.fleets) == deployments
}

// turns are the changes of direction of all fleets from one moment to another.
func (r *replicas) turns(from, until time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	turns := 0
	for _, f := range r.fleets {
		var values []int
		for _, c := range f.changes {
			switch {
			case c.at.Before(from):
				values = []int{c.to} // as it was at the beginning
			case !c.at.After(until):
				values = append(values, c.to)
			}
		}
		turns += result.Turns(values)
	}
	return turns
}
