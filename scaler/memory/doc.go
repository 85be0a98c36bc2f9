// Package memory keeps what must outlive the process: for each database one
// small ConfigMap in Headroom's own namespace, with the label
// keda-headroom.github.io/memory: "true".
//
// It holds others' high water and how long they were watched, the server's
// identity and limits, what pods of each workload were seen to hold, what KEDA was
// told lately, and the last good policies that concern the database. Beside that,
// for a person with kubectl while the server is down, the last plan in short. It
// never holds a DSN, and no comments of a policy.
//
// Under a key of its own it holds what was learned of the queues of workloads with an
// objective: how fast pods work and start, and when the latest messages came. That is
// up to 5 KiB for each, and where there are too many, 1 KiB without the messages. It
// promises nothing: where it is missing, or can't be read, messages per pod decide
// until it is learned again, and nothing else is the worse for it. A version of
// Headroom that doesn't know the key leaves it out.
//
// A database without such an object, or with one that can't be read, is one that
// was never watched: for one window of others nothing is promised beyond what is
// there (reason Starting), in every mode.
//
// An object says which installation wrote it: the cluster (the UID of its
// namespace kube-system) and the namespace. Where the object of another
// installation in the same cluster speaks of the same server, both say so, in the
// log and as an event on their own object, and both go on: each sees the other's
// workers as others, and neither knows what the other has promised but not yet
// filled. So two installations may fill the same free slots at the same moment: a
// reserve for that, or one installation, is for the operator to choose.
// Installations in different clusters can't see each other at all.
//
// RBAC. A Role in Headroom's namespace: list, create, update and delete on
// configmaps (create can't be narrowed to names). A ClusterRole: list on
// configmaps, which package policyconfigmap needs too, and get on namespaces with
// resourceNames [kube-system].
package memory
