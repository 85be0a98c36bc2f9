// Package policies keeps policies in force, wherever they come from: it judges
// what its origins found, and never lets a bad edit take effect.
//
// Inputs (a file, a key of a ConfigMap) are judged one by one. One with an error,
// or one that can't be read, keeps its last good version while the others' edits
// take effect. What is read at the very start has the last good version that was
// kept over the restart ([Keeper.Restore]), or none: then what is right of it is in
// force.
//
// Of two inputs that claim the same workload, database or ScaledObject the oldest
// wins. The other keeps its last good version as far as that claims nothing of
// the winner's, and contributes nothing otherwise. The inputs of an origin that
// is Together, as files are, have no age: an edit that makes them contradict each
// other changes none of them.
//
// A policy that is taken back, with its input or out of it, freezes its
// workloads at what they hold until they are opted out: until nothing asks for
// them any more, another policy governs them, or their ScaledObject. One in mode
// Observe is dropped at once, for nobody follows it. But nobody is dropped while
// pods of it wait at the gate: it stays in mode Observe, which lets them through,
// until none does. A database stays described as long as somebody uses it.
//
// An object can stop the workloads that it describes ([Input.Stopped]): they stay
// in force, frozen. A name that it doesn't describe is a warning.
//
// Package policyfile is the origin of files, package policyconfigmap that of
// ConfigMaps.
package policies
