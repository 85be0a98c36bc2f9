// Package contender reads who scales the fleets of a scenario: Kubernetes
// manifests as templates, and the parameters that they are tried with. Each
// contender is one file; its name is the file's.
//
// A contender applies to every scenario. It says nothing about the workers'
// Deployments, which are the same for all, but for their replicas at the start and
// the label by which their pods opt in to the gate.
package contender
