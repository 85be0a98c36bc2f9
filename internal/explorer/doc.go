// Package explorer looks for a way to break the promise of the gate: it plays
// every order in which two leaders, their writes, the watch, the pods and the
// database server can take their turns, within bounds that each [Scene] states.
//
// What decides is the production code itself: [policy.Decide], and the requests
// that package gate makes of a plan. What is around it is a small world of a few
// pods and one server, in which a write may land as late as it likes, an answer
// may be lost, a leader may pause for longer than its lease, crash and come back,
// a watch may be behind, a pod may vanish while its connections live on.
//
// The promise is checked where it comes true, when a pod loses its gate, and
// against the world: pods past the gate, by whichever leader, and what the server
// held at the reading that the plan rests on. No ledger and no plan is asked.
//
// The search is breadth first, so a counterexample is a shortest one. It is a list
// of moves, told by [Story].
package explorer
