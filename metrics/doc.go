// Package metrics says what is: readings of queues, databases and fleets.
//
// This package holds only plain values, so that the decision (package policy)
// can depend on them and on nothing that does I/O. What takes the readings lives
// in sub-packages, one for each system: metrics/sqs, metrics/postgres,
// metrics/fleet, metrics/kube. They are driven by metrics/poll, which polls every distinct
// source once however many workloads use it.
//
// Data flows one way: sources make readings, readings make a policy.Snapshot.
// Nothing in here knows what is decided from it.
package metrics
