package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/keda-headroom/headroom/metrics"
)

// PodFacts is what whoever writes to a pod has to know of it.
type PodFacts struct {
	UID     string
	Version string // resourceVersion
	Epoch   string // that was last written on it, "" for none
	Created time.Time
	// Gate is the place of our gate in spec.schedulingGates, from 0; -1 where the
	// pod doesn't have it. Gates is how many gates there are, of all owners.
	Gate, Gates int
	Terminating bool
	Finished    bool
	// Grant is what was stamped on it, nil for nothing. Nobody may change it.
	Grant map[string]int
}

// Pod returns what is known of a pod, false where the API server has none of that
// name as far as is known. [Cluster.Fresh] says how far that is.
func (c *Cluster) Pod(namespace, name string) (PodFacts, bool) {
	r, ok := c.tables.pods.get(namespace, name)
	if !ok {
		return PodFacts{}, false
	}
	return factsOf(r), true
}

func factsOf(r *row[pod]) PodFacts {
	p := &r.value
	return PodFacts{
		UID: r.uid, Version: p.version, Epoch: p.epoch.Value(), Created: p.created, Gate: int(p.place) - 1, Gates: int(p.gates),
		Terminating: p.terminating, Finished: p.finished(), Grant: p.grant,
	}
}

// GatedPod is a pod with our gate.
type GatedPod struct {
	ID metrics.ID
	PodFacts
}

// Gated returns all pods that have our gate, governed or not, oldest first.
func (c *Cluster) Gated() []GatedPod {
	rows := c.tables.pods.index(byGate, "")
	out := make([]GatedPod, len(rows))
	for i, r := range rows {
		out[i] = GatedPod{ID: idOfRow(r), PodFacts: factsOf(r)}
	}
	slices.SortFunc(out, func(a, b GatedPod) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return a.ID.Compare(b.ID)
	})
	return out
}

// PodRef is one pod, and not another of its name.
type PodRef struct {
	ID  metrics.ID
	UID string
}

// listedAtOnce is how many pods a page of ListPods has.
const listedAtOnce = 500

// ListPods asks the API server for all pods there are, by a read that a quorum of
// its storage agrees on. Whatever was written before it was called is seen, which
// no watch can promise.
func (c *Cluster) ListPods(ctx context.Context) ([]PodRef, error) {
	var out []PodRef
	options := metav1.ListOptions{Limit: listedAtOnce} // without a resourceVersion
	for {
		list, err := c.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("listing all pods: %w", withoutURL(err))
		}
		for i := range list.Items {
			about := &list.Items[i]
			out = append(out, PodRef{ID: metrics.ID{Namespace: about.Namespace, Name: about.Name}, UID: string(about.UID)})
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return out, nil
		}
	}
}

// Absent returns those of listed that are not known: the watch has not come so far,
// or they have gone since they were listed. While it isn't empty after a fresh
// [Cluster.ListPods], a reading of fleets may leave out a pod that was let through.
func (c *Cluster) Absent(listed []PodRef) []PodRef {
	var out []PodRef
	for _, ref := range listed {
		if r, ok := c.tables.pods.get(ref.ID.Namespace, ref.ID.Name); !ok || r.uid != ref.UID {
			out = append(out, ref)
		}
	}
	return out
}
