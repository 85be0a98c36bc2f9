// Package events tells what changed between plans, and what became of policies,
// as Kubernetes Events on the objects that it is about:
//
//	on a ScaledObject or ScaledJob
//	  TargetLimited             the target does not follow demand, and why
//	  TargetRecovered           it does again
//	  ConnectionsUnderdeclared  a pod holds more than its policy declares
//	  CapBypassed               replicas stay above the ceiling
//	  ObjectiveUnreachable      messages will be older than the objective, and by how
//	                            many connections
//	  WaitingForConnections     pods wait at the gate: how many, for how long, and why
//	  ConnectionsReserved       pods passed the gate
//	  EvictedToFreeConnections  pods were evicted, because the budget fell
//	  RolloutWaitingForConnections
//	                            pods were evicted for a newer revision of theirs
//	  PodsReadyTimeout          pods were evicted that did not become ready in time
//	  EvictionBlocked           pods had to go and stay: which PodDisruptionBudget
//	on the pod, too
//	  EvictedToFreeConnections, PodsReadyTimeout, EvictionBlocked
//	on the ConfigMap that describes it
//	  DatabaseUnreachable       no usable reading of a database
//	  PolicyAccepted, PolicyRejected, PolicyConflict
//
// Each says the decision's own sentence. What flickers is not told: a state has to
// last, and the same event comes at most once a minute for one object. Of a
// workload in mode Observe only what its set-up risks is told, since its target is
// nobody's. What happens to pods is told of many at once, but on a pod of that pod.
//
// It needs, by a ClusterRole because events stand beside their objects: create
// and patch on events of the group events.k8s.io.
package events
