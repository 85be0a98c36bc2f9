// Package cluster runs a real Kubernetes control plane, and KEDA in it, as child
// processes on 127.0.0.1: etcd, kube-apiserver with RBAC, kube-controller-manager
// whose controllers have their own accounts, kube-scheduler, and KEDA's operator,
// metrics adapter and admission webhooks under KEDA's own roles.
//
// There is no kubelet and no network of pods: package node stands in for the first,
// and a Service that has to be reached is named by an address. Everything is in one
// directory, nothing outlives the parent process, and each component can be stopped,
// started again at the same ports, paused and resumed.
package cluster
