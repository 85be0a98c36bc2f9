// Package gate does to pods what plans want done: it writes the leader's term on
// gated pods (stamps), lets pods pass the gate with a grant (admissions), and takes
// pods away (evictions).
//
//	State ─▶ Actions ─▶ Next ─▶ Request ─▶ API server ─▶ Outcome ─▶ counters, events, log
//	        (what the   (what is
//	         plan wants) sent now)
//
// [Actions], [Next], [Action.May] and [Action.Requests] are pure: a model of the world can drive
// them. [Actor] does the rest: it follows the latest state, never an older one, and
// sends each request on its own, so that one that hangs holds up nothing but its
// own pod.
//
// # What keeps two leaders apart
//
// Nothing here relies on a clock to be safe. Every patch that opens a gate tests
// the pod's UID and resourceVersion, so that it fails once anybody has written to
// the pod; and a leader writes its term on every gated pod before it counts on
// anything. Before it writes its term it has the API server confirm that the term goes
// on (docs/decisions/0011-fenced-by-stamps.md). That it asks by its own clock whether it
// still leads, right before each request, only saves requests that would fail.
//
// A request that nobody answered may yet come true. It is not this package that
// reckons with it: the plan counts its pod as promised until a reading shows what
// became of it, and either repeats the admission, with the same version and so to
// the same effect, or has the pod stamped. A stamp fences because it gives the pod
// a new version. The API server gives none to an object that does not change, so
// the plan has another text written on a pod that carries the term already.
//
// # Permissions
//
// A ClusterRole needs
//
//	""  pods            patch, delete
//	""  pods/eviction   create
package gate
