// Package explorer looks for a way to break the promise of the gate: it plays
// every order in which two leaders, their writes, the watch, the pods and the
// database server can take their turns, within bounds that each [Scene] states.
//
// What decides is the production code itself: [policy.Decide], and the requests
// that package gate makes of a plan, applied to the pod's manifest as the API
// server applies them. What is around it is a small world of a few pods and one
// server, in which a write may land as late as it likes or never, a leader may pause
// for longer than its lease, crash and come back, a watch may be behind, a pod may
// vanish while its connections live on.
//
// The promise is checked where it comes true, when a pod loses its gate, and
// against the world: pods past the gate, by whichever leader, and what the server
// held at the reading that the plan rests on. No ledger and no plan is asked. What
// nobody could know is no break: what others open after the reading, and what a
// pod opens beyond its grant before a reading shows it.
//
// [Search] is breadth first, so that a counterexample is a shortest one, and looks
// at each state once: at two that differ in nothing but when, as one. [Walk] goes
// further at random, lets everything calm down in the end, and then nobody may wait
// for what is free. Either gives a list of moves, which [Story] tells.
//
// Two things that a model with one watch can't show to be needed: that a leader lists
// all pods before it acts, and that it looks at its lease before each write. A pod
// that it lets through has its stamp, and the watch shows everything from before
// that; and a patch from before the stamp fails, whoever sent it. Both stay, for what
// no model holds.
package explorer
