// Package leader makes one of several Headrooms the one that acts.
//
// A [Leader] is a candidate for a Lease, by client-go's leader election. Each
// candidacy has an identity of its own, "<pod>_<8 hex digits>", and what it leads
// under that identity is one term. The identity is the term's epoch: it is written
// on the pods that wait at the gate, and on those that were let through.
//
//	candidate ── acquires the lease ──▶ leads ── takeover done ──▶ leads, with an epoch
//	    ▲                                 │                              │
//	    │   not renewed in time,          │                              │
//	    └── lease deleted or released ◀───┴──────────────────────────────┤
//	        by hand: a new term                                          │
//	                                                                     ▼
//	             another one leads: Run returns *Lost, the process ends
//
// A lease says who should act. It can't keep anybody from acting: a process that
// was stopped between looking at it and writing wakes up and writes, and the API
// server may work on a write for half a minute. So nothing rests on the lease's
// times. What keeps an earlier leader's writes from doing harm is that they test
// the pod's resourceVersion, and that a new leader writes its epoch on every gated
// pod before it relies on it (docs/decisions/0011-fenced-by-stamps.md). The lease's
// part in that is one: [Leader.Confirm], which asks the API server itself.
//
// # Takeover
//
// A term has no epoch before every pod that was there after the lease was acquired
// is known: all pods are listed once with a quorum read, and those that still exist
// are waited for in what is watched. A watch alone may be behind by any time, and
// an earlier leader may have let pods through that it has not shown yet.
//
// # The published one
//
// The leader's pod carries [Label], which the Service selects, and no other pod of
// the installation does. Followers are as ready as the leader, so that installers,
// rollouts and drains finish, but KEDA finds one address.
//
// # Permissions
//
// In Headroom's namespace: get, create and update on leases of
// coordination.k8s.io; get, list and patch on pods. In all namespaces: list on
// pods.
package leader
