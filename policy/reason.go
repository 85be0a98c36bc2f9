package policy

// Reason is why a target is what it is: a stable code, the same in log, metric,
// event, page and command line.
type Reason string

// The reasons.
const (
	Demand                 Reason = "Demand"                 // the queue asks for this many
	MinReplicas            Reason = "MinReplicas"            // the lower bound holds it up
	MaxReplicas            Reason = "MaxReplicas"            // the upper bound holds it down
	ConnectionBudget       Reason = "ConnectionBudget"       // the database carries no more
	FairShare              Reason = "FairShare"              // other workloads' shares hold it down
	RolloutOverlap         Reason = "RolloutOverlap"         // connections set aside for surge pods hold it down
	DatabaseUnknown        Reason = "DatabaseUnknown"        // no fresh reading of a database: nobody scales out
	QueueUnknown           Reason = "QueueUnknown"           // no fresh reading of the queue: nobody scales in
	ReplicasUnknown        Reason = "ReplicasUnknown"        // no fresh state of the pods: nobody scales out
	Starting               Reason = "Starting"               // others have not been watched long enough yet
	ScaleDownStabilization Reason = "ScaleDownStabilization" // an earlier, higher demand is still followed
	ObjectiveUnreachable   Reason = "ObjectiveUnreachable"   // messages will be too old: more would be needed than may be; only ever beside the reason that bound the target
	PolicyInvalid          Reason = "PolicyInvalid"          // the policy names a database that is not there
	Unauthorized           Reason = "Unauthorized"           // the workload may not use a database
	Stopped                Reason = "Stopped"                // somebody stopped the workload: it is frozen at what it holds
	Observing              Reason = "Observing"              // mode Observe: the target is not told, what is there is held
)

// Reasons are all that can bind a target, in the order of the documentation.
// [ObjectiveUnreachable] binds none.
var Reasons = []Reason{
	Demand, MinReplicas, MaxReplicas, ConnectionBudget, FairShare, RolloutOverlap,
	DatabaseUnknown, QueueUnknown, ReplicasUnknown, Starting, ScaleDownStabilization, PolicyInvalid, Unauthorized, Stopped, Observing,
}
