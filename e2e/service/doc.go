// Package service stands in for kube-proxy: it gives a Service a steady address
// on this machine and forwards each connection to one of its ready pods, whose
// addresses are this machine's, too (package e2e/node).
package service
