// Package condition tells on each pod whether connections are reserved for it, as
// the pod condition keda-headroom.github.io/ConnectionsReserved:
//
//	False  while the pod waits at the gate; reason and message are the decision's
//	       own reason code and sentence
//	True   once it passed; the message says what was granted
//
// It is for people and their tools (kubectl describe pod, kubectl wait); nothing
// is decided from it. So it comes last: a pod that passes within seconds gets it
// once, a sentence in which only a number moves is written at most once a minute,
// there are few requests in a second, and one that fails is not tried again for a
// minute.
//
// Whoever writes to a pod gives it a new resourceVersion, and an admission that was
// sent for an earlier one fails. So a pod that the plan does something with is left
// alone.
//
// # Permissions
//
// A ClusterRole needs patch on pods/status.
package condition
