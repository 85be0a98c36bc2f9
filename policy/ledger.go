package policy

import (
	"maps"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Ledger is what one decision remembers for the next. It holds no promise that
// the pods do not hold: losing it makes decisions more careful, never less. The
// zero Ledger has seen nothing.
type Ledger struct {
	Databases map[metrics.ID]DatabaseMemory `json:"databases,omitempty"`
	Workloads map[metrics.ID]WorkloadMemory `json:"workloads,omitempty"`
}

// DatabaseMemory is what is remembered of one database.
type DatabaseMemory struct {
	// Server is the identity that was last confirmed, "" before the first.
	Server string `json:"server,omitempty"`
	// Changed is when another identity was first seen behind the name, and
	// Next which; zero while there is none.
	Next    string    `json:"next,omitempty"`
	Changed time.Time `json:"changed,omitzero"`
	// Last is the last good reading: what a full or unreachable server is
	// judged by.
	Last metrics.Database `json:"last,omitzero"`
	// Others is the recent past of others, by constraint.
	Others map[string]Peak `json:"others,omitempty"`
	// Pressure is what limits that were found too full are to keep free on top of
	// their reserve, by constraint.
	Pressure map[string]Pressure `json:"pressure,omitempty"`
}

// WorkloadMemory is what is remembered of one workload.
type WorkloadMemory struct {
	// Demand is the recent past of the raw demand, in replicas.
	Demand Peak `json:"demand,omitzero"`
	// Told is the recent past of what KEDA was told, in replicas: the HPA may
	// still be acting on any of it.
	Told Peak `json:"told,omitzero"`
	// PerPod is the recent past of the most connections that one pod held, by
	// database.
	PerPod map[metrics.ID]Peak `json:"perPod,omitempty"`
	// Carried is how many replicas the last plan with fresh readings of every
	// database carried; CarriedKnown is false before the first.
	Carried      int  `json:"carried"`
	CarriedKnown bool `json:"carriedKnown"`
	// CarriedGrants is what was granted to its pods in that plan, in
	// connections by database.
	CarriedGrants map[metrics.ID]int `json:"carriedGrants,omitempty"`
	// Fleet is the last known state of its pods, which stays counted while no
	// newer one can be had.
	Fleet      metrics.Fleet `json:"fleet,omitzero"`
	FleetKnown bool          `json:"fleetKnown"`
	// Pods are the pods that may hold connections, by UID, with what each was
	// counted as. That only grows while the pod lives.
	Pods map[string]PodMemory `json:"pods,omitempty"`
	// Ghosts are connections under the workload's login that belonged to no pod,
	// by database, where sessions can't be told apart by pod.
	Ghosts map[metrics.ID]int `json:"ghosts,omitempty"`
	// Departed are pods that are gone from the API.
	Departed []Departed `json:"departed,omitempty"`
	// Admitted are pods that were let through the gate by an earlier plan and
	// are not yet seen without it, by pod UID: promised all the same.
	Admitted map[string]Admitted `json:"admitted,omitempty"`
	// Evicted are pods that an earlier plan took away, by pod UID, until they are
	// gone.
	Evicted map[string]Evicted `json:"evicted,omitempty"`
	// GatedSince is since when the workload has been in mode Gate without a break;
	// zero in other modes.
	GatedSince time.Time `json:"gatedSince,omitzero"`
	// Standstill is the rollout that waits for connections, if one does.
	Standstill Standstill `json:"standstill,omitzero"`
	// Flow is the recent past of the queue, where an objective needs it.
	Flow Flow `json:"flow,omitzero"`
	// QueueUnknownSince is when the queue stopped having a usable reading, zero
	// while it has one.
	QueueUnknownSince time.Time `json:"queueUnknownSince,omitzero"`
}

// PodMemory is what is remembered of one pod.
type PodMemory struct {
	Address string `json:"address,omitempty"`
	// PassedSeen is when the pod was first seen past the gate, ReadySeen when it
	// was first seen to be ready; zero before.
	PassedSeen time.Time          `json:"passedSeen,omitzero"`
	ReadySeen  time.Time          `json:"readySeen,omitzero"`
	Grants     map[metrics.ID]int `json:"grants"`
}

// Admitted is an admission that was issued for the pod as it was at Version. Seen
// at the gate at another one, the pod was written to since, and the admission can't
// come true any more.
type Admitted struct {
	Version string             `json:"version,omitempty"`
	Grants  map[metrics.ID]int `json:"grants"`
}

// Evicted is an eviction that was issued. A pod that is not seen to leave within
// evictionPatience of At stays, as far as anybody knows; Tries counts how often it
// was asked to go.
type Evicted struct {
	At     time.Time      `json:"at"`
	Tries  int            `json:"tries"`
	Reason EvictionReason `json:"reason"`
	// Sentence is why it had to go.
	Sentence string `json:"sentence"`
}

// Pressure is how many connections a limit is to keep free on top of its reserve,
// and when it was last raised.
type Pressure struct {
	Connections int       `json:"connections"`
	At          time.Time `json:"at"`
}

// Standstill is a rollout in which nothing has moved since Since: so many pods of
// the newest revision and of older ones are past the gate, or wait at it.
type Standstill struct {
	Since       time.Time `json:"since"`
	Replicas    int       `json:"replicas"`
	Newest      int       `json:"newest"`
	NewestGated int       `json:"newestGated"`
	Older       int       `json:"older"`
	OlderGated  int       `json:"olderGated"`
}

// Departed is a pod that is gone from the API. Its grants are released by a
// reading that began after At, not by its disappearance.
type Departed struct {
	PodMemory
	UID string    `json:"uid"`
	At  time.Time `json:"at"`
}

// For returns the part of the ledger that a group's decision needs.
func (l Ledger) For(g Group) Ledger {
	part := Ledger{Databases: map[metrics.ID]DatabaseMemory{}, Workloads: map[metrics.ID]WorkloadMemory{}}
	for _, d := range g.Databases {
		if m, ok := l.Databases[d.ID]; ok {
			part.Databases[d.ID] = m
		}
	}
	for _, w := range g.Workloads {
		if m, ok := l.Workloads[w.ID]; ok {
			part.Workloads[w.ID] = m
		}
	}
	return part
}

// With returns the ledger with everything that part knows put over it. Neither
// is changed.
func (l Ledger) With(part Ledger) Ledger {
	out := Ledger{Databases: maps.Clone(l.Databases), Workloads: maps.Clone(l.Workloads)}
	if out.Databases == nil {
		out.Databases = map[metrics.ID]DatabaseMemory{}
	}
	if out.Workloads == nil {
		out.Workloads = map[metrics.ID]WorkloadMemory{}
	}
	maps.Copy(out.Databases, part.Databases)
	maps.Copy(out.Workloads, part.Workloads)
	return out
}

// Servers says which server each database was last known to be.
func (l Ledger) Servers() map[metrics.ID]string {
	servers := map[metrics.ID]string{}
	for id, m := range l.Databases {
		if m.Server != "" {
			servers[id] = m.Server
		}
	}
	return servers
}
