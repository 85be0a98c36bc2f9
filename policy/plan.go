package policy

import (
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Plan is one decision for every workload of one group, made together. Whatever
// leaves the process renders a Plan; nothing else decides.
type Plan struct {
	At        time.Time      `json:"at"`
	Group     string         `json:"group"`
	Databases []DatabasePlan `json:"databases"` // by ID
	Workloads []WorkloadPlan `json:"workloads"` // by ID
}

// Workload returns the plan of the workload id.
func (p Plan) Workload(id metrics.ID) (WorkloadPlan, bool) {
	for _, w := range p.Workloads {
		if w.ID == id {
			return w, true
		}
	}
	return WorkloadPlan{}, false
}

// DatabasePlan is what a plan knows of one database.
type DatabasePlan struct {
	ID metrics.ID `json:"id"`
	// Server is the identity of the server behind the name, "" where unknown.
	Server string `json:"server,omitempty"`
	// Unknown says why there is no usable reading, "" where there is one.
	Unknown string `json:"unknown,omitempty"`
	// Starting says how long others must still be watched, "" once they were.
	Starting string `json:"starting,omitempty"`
	// Constraints are in the server's order; empty where the reading is unknown.
	Constraints []ConstraintPlan `json:"constraints,omitempty"`
}

// ConstraintPlan is one limit's account, in connections.
//
//	Budget = Limit − Reserve − max(Others, OthersHighWater) − Ghosts − Pressure
//	Free   = Budget − Granted − Departed
//
// Budget and Free are below 0 where more is held than the limit carries.
type ConstraintPlan struct {
	Name            string `json:"name"`
	Limit           int    `json:"limit"`
	Reserve         int    `json:"reserve"`
	Used            int    `json:"used"`
	Others          int    `json:"others"`
	OthersHighWater int    `json:"othersHighWater"`
	Ghosts          int    `json:"ghosts"`
	// Granted is Σ max(grant, observed) over pods that may hold connections.
	Granted int `json:"granted"`
	// Departed is granted to pods that are gone, but not yet shown to be gone
	// by a reading that began after they went.
	Departed int `json:"departed,omitempty"`
	// Pressure is what is kept free on top of the reserve while the limit is so
	// full that it hides how many are turned away.
	Pressure int `json:"pressure,omitempty"`
	Budget   int `json:"budget"`
	Free     int `json:"free"`
}

// WorkloadPlan is the decision for one workload.
type WorkloadPlan struct {
	ID   metrics.ID `json:"id"`
	Mode Mode       `json:"mode"`

	// Demand is what the queue asks for, in replicas, inside the bounds.
	Demand DemandPlan `json:"demand"`
	// Replicas is spec.replicas; Holding is how many pods may hold connections
	// (terminating ones included), Gated how many wait at the gate.
	Replicas int `json:"replicas"`
	Holding  int `json:"holding"`
	Gated    int `json:"gated,omitempty"`
	// Ungated counts the pods that came into being without the gate though the
	// workload is in mode Gate. While there are any, it is reckoned with as in mode
	// Target.
	Ungated int `json:"ungated,omitempty"`
	// Share is the workload's part of the budget, in replicas.
	Share int `json:"share"`
	// Ceiling is how many replicas the budget carries after the other
	// workloads' grants and shares.
	Ceiling int `json:"ceiling"`
	// Target is how many replicas there should be: min(demand, ceiling) inside
	// the bounds.
	Target int `json:"target"`

	// Value is what KEDA is told for a target of AverageValue 1. It equals
	// Target, but where the HPA's tolerance would keep replicas above the
	// ceiling it is the largest value that makes the HPA act; in mode Observe it
	// holds what is there. Of a ScaledJob it is what makes KEDA create the Jobs that
	// are missing, 0 where none are, or for [JobsSettle] after some were created.
	Value float64 `json:"value"`
	// Active is the answer to IsActive: whether KEDA may go from zero to one, and
	// must not go to zero.
	Active bool `json:"active"`
	// Failure, if not "", is answered as an error instead of a value, so that
	// KEDA's fallback applies.
	Failure string `json:"failure,omitempty"`

	// Reason is what bound the target, Sentence says it in words, Binding names
	// the database and constraint where one did ("shop/orders-db server").
	Reason   Reason `json:"reason"`
	Sentence string `json:"sentence"`
	Binding  string `json:"binding,omitempty"`
	// Steps lead from the queue's demand to the target, one for each rule that
	// applied, in order.
	Steps []Step `json:"steps"`

	// Uses is what the workload has of each of its databases.
	Uses []UsePlan `json:"uses"`
	// Stamps are gated pods that the term has to be written on, so that nothing
	// that was sent before can let them through any more. Until that is seen to
	// have happened they count as promised.
	Stamps []Stamp `json:"stamps,omitempty"`
	// Admissions are the pods that may pass the gate now, in order.
	Admissions []Admission `json:"admissions,omitempty"`
	// Evictions are the pods that have to go now, in order. Mode Gate only.
	Evictions []Eviction `json:"evictions,omitempty"`
}

// DemandPlan is how demand came about, in replicas. Known is false where the
// queue has no fresh reading; Raw and Smoothed are then what is held.
type DemandPlan struct {
	Known   bool `json:"known"`
	NoQueue bool `json:"noQueue,omitempty"` // the workload has none
	// Backlog is what the queue asks for, before any bound: by its objective where it
	// has one that can be followed, else by messages per pod.
	Backlog  int `json:"backlog"`
	Raw      int `json:"raw"`      // inside the bounds
	Smoothed int `json:"smoothed"` // Raw, or an earlier and higher one still followed
	// Objective is what is known of the age of messages; nil where the policy has no
	// maxMessageAge, or the queue no fresh reading.
	Objective *ObjectivePlan `json:"objective,omitempty"`
}

// Step is one rule's effect on the number of replicas.
type Step struct {
	Reason   Reason `json:"reason"`
	Before   int    `json:"before"`
	After    int    `json:"after"`
	Sentence string `json:"sentence"`
}

// UsePlan is what a workload has of one database, in connections.
type UsePlan struct {
	Database metrics.ID `json:"database"`
	// PerPod is what one more pod is counted as: what it declares, or the most
	// that one was seen to hold.
	PerPod   int `json:"perPod"`
	Declared int `json:"declared"`
	// Granted is Σ max(grant, observed) over its pods; Observed is what is
	// visible. ObservedKnown is false where the database has no fresh reading.
	Granted       int  `json:"granted"`
	Observed      int  `json:"observed"`
	ObservedKnown bool `json:"observedKnown"`
	// ObservedMax is the most that one pod holds now, 0 where sessions can't be
	// told apart by pod.
	ObservedMax int `json:"observedMax,omitempty"`
	// Unattributed says that pods run but none of their connections was
	// recognized: a wrong user, database or application name in the policy.
	Unattributed bool `json:"unattributed,omitempty"`
}

// Stamp is a gated pod that the leader's term has to be written on, if the pod is
// still at Version.
type Stamp struct {
	UID     string `json:"uid"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Epoch is what is written.
	Epoch string `json:"epoch"`
}

// Admission lets one pod pass the gate with a grant, if the pod is still at
// Version.
type Admission struct {
	UID     string `json:"uid"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Epoch   string `json:"epoch,omitempty"`
	// Grant is connections by database ("namespace/name").
	Grant map[string]int `json:"grant"`
}

// Eviction takes one pod away, if it is still the one with this UID and at
// Version.
type Eviction struct {
	UID     string         `json:"uid"`
	Name    string         `json:"name"`
	Version string         `json:"version,omitempty"`
	Reason  EvictionReason `json:"reason"`
	// Sentence says in words why.
	Sentence string `json:"sentence"`
	// IgnoreDisruptionBudgets deletes the pod where a PodDisruptionBudget refuses
	// its eviction.
	IgnoreDisruptionBudgets bool `json:"ignoreDisruptionBudgets,omitempty"`
}

// EvictionReason is why a pod is taken away: a stable code.
type EvictionReason string

// The reasons for evictions.
const (
	// Shed gives back connections of a budget that fell below what is held.
	Shed EvictionReason = "Shed"
	// Swap makes room for a newer revision whose rollout waits for it.
	Swap EvictionReason = "Swap"
	// ReadyTimeout gives back what a pod was granted that did not become ready.
	ReadyTimeout EvictionReason = "ReadyTimeout"
)

// EvictionReasons are all of them.
var EvictionReasons = []EvictionReason{Shed, Swap, ReadyTimeout}
