// Package cluster runs a real Kubernetes control plane, and KEDA in it, as child
// processes on loopback addresses.
package cluster
