// Package simulation closes the loop around [policy.Decide]: queues, workers, a
// database server, other applications, Deployments, the HPA and everything late
// or lost between them, in simulated time, driven by one random seed.
//
// It counts connections from its own pods and server, never from a ledger or a
// plan, and so can tell when a decision promised what was not there. A run's
// outcome is a [Report]; the same seed gives the same report.
package simulation
