package metrics

import (
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// Fleet is the state of one workload's replicas and pods, as the Kubernetes API
// shows it at one instant.
type Fleet struct {
	// SpecReplicas and StatusReplicas are spec.replicas and status.replicas of
	// the scale subresource. For a Deployment status counts surge pods and leaves
	// out terminating ones. Both are 0 or more.
	SpecReplicas   int `json:"specReplicas"`
	StatusReplicas int `json:"statusReplicas"`

	// MinReplicas and MaxReplicas are the ScaledObject's own bounds,
	// minReplicaCount and maxReplicaCount, narrowed by what its annotations pause
	// or force. A MaxReplicas of 0 means KEDA's default, 100.
	MinReplicas int `json:"minReplicas"`
	MaxReplicas int `json:"maxReplicas"`

	// MaxSurge is how many pods a rollout may add on top of spec.replicas. The
	// zero value is none, as for a StatefulSet or Jobs.
	MaxSurge intorpercent.Value `json:"maxSurge,omitzero"`

	// MaxUnavailable is how many of spec.replicas a rollout may do without. The
	// zero value is none.
	MaxUnavailable intorpercent.Value `json:"maxUnavailable,omitzero"`
	// Ordered is true for a StatefulSet that starts its pods one after the other
	// (podManagementPolicy OrderedReady): while one of them is not ready its
	// controller does nothing to those behind it.
	Ordered bool `json:"ordered,omitempty"`

	// HPA is how the autoscaler between us and the pods behaves.
	HPA HPA `json:"hpa,omitzero"`

	// Jobs is how KEDA counts the Jobs of a ScaledJob; nil for everything else.
	Jobs *Jobs `json:"jobs,omitempty"`

	// Pods are all pods of the workload that the API server has, gated,
	// terminating and finished ones included, in a stable order.
	Pods []Pod `json:"pods,omitempty"`
}

// HPA is the part of a HorizontalPodAutoscaler that decides how late and how
// loosely it follows a target. The zero value follows at once and exactly.
type HPA struct {
	// ScaleDownToleranceMilli is the tolerance below which a fall is ignored,
	// in thousandths, rounded up (Kubernetes' default 0.1 is 100).
	ScaleDownToleranceMilli int `json:"scaleDownToleranceMilli,omitempty"`
	// ScaleDownStabilization is how long the HPA goes on acting on its highest
	// recommendation (300 s where no behavior is given).
	ScaleDownStabilization time.Duration `json:"scaleDownStabilization,omitempty"`
}

// Jobs is what KEDA reckons with when it decides how many Jobs of a ScaledJob to
// create. It never ends one. SpecReplicas and StatusReplicas of the fleet are
// both Running, and its pods are those of the Jobs.
type Jobs struct {
	// Strategy is scalingStrategy.strategy.
	Strategy JobStrategy `json:"strategy,omitempty"`
	// Running counts the Jobs that are not finished, Pending those of them that
	// KEDA counts as pending. Both are 0 or more.
	Running int `json:"running"`
	Pending int `json:"pending,omitempty"`
	// Newest is the creationTimestamp of the newest of its Jobs, finished or not: a
	// whole second of the API server's clock. Zero where there is none.
	Newest time.Time `json:"newest,omitzero"`
	// Deduction and RunningShare are customScalingQueueLengthDeduction and
	// customScalingRunningJobPercentage (0.5 is half) of the strategy custom.
	// RunningShare is finite.
	Deduction    int     `json:"deduction,omitempty"`
	RunningShare float64 `json:"runningShare,omitempty"`
	// Disposable is true where a pod of a Job may be evicted: its podFailurePolicy
	// ignores the condition DisruptionTarget, so that the Job goes on with another.
	Disposable bool `json:"disposable,omitempty"`
}

// JobStrategy says how KEDA turns a metric into a number of Jobs to create.
// Whatever is none of these counts as default, as KEDA does it.
type JobStrategy string

// The strategies. Custom without a percentage that is a number is default.
const (
	JobsDefault  JobStrategy = "default"
	JobsCustom   JobStrategy = "custom"
	JobsAccurate JobStrategy = "accurate"
	JobsEager    JobStrategy = "eager"
)

// Pod is one pod of a workload.
type Pod struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
	// Version is the pod's resourceVersion: whoever writes on the condition that
	// it is still this one fails as soon as anybody else has written. "" where the
	// source of fleets has none.
	Version string `json:"version,omitempty"`
	// Epoch is the leader's term that was last written on the gated pod, "" before
	// the first. No patch of an earlier term can come true any more.
	Epoch string `json:"epoch,omitempty"`
	// Address is the pod's IP, "" before it has one.
	Address string `json:"address,omitempty"`
	// CreatedAt is the pod's creationTimestamp.
	CreatedAt time.Time `json:"createdAt"`
	// Revision orders the versions of the pod template; higher is newer.
	Revision int64 `json:"revision,omitempty"`
	// Ordinal is the pod's place in a StatefulSet, 0 elsewhere.
	Ordinal int `json:"ordinal,omitempty"`
	// Gated is true while the pod carries our scheduling gate: it has no node
	// and can have no connection.
	Gated bool `json:"gated,omitempty"`
	// OtherGates is true while somebody else's gate is on the pod too. Ours is
	// removed last.
	OtherGates bool `json:"otherGates,omitempty"`
	// Ready is the pod's Ready condition.
	Ready bool `json:"ready,omitempty"`
	// Started is true once a container of the pod may have run: its phase is past
	// Pending.
	Started bool `json:"started,omitempty"`
	// Terminating is true once the pod has a deletionTimestamp. Its processes
	// may still run and hold connections.
	Terminating bool `json:"terminating,omitempty"`
	// Finished is true once all containers have ended (phase Succeeded or
	// Failed). Connections may outlive even that, until the server notices.
	Finished bool `json:"finished,omitempty"`
	// Grant is what was stamped on the pod when it was admitted: connections by
	// database ("namespace/name"). nil where the pod was never gated.
	Grant map[string]int `json:"grant,omitempty"`
}

// Holds reports whether the pod may hold connections: it passed the gate or
// never had one, and has not finished.
func (p Pod) Holds() bool { return !p.Gated && !p.Finished }
