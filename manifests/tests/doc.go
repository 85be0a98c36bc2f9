// Package tests holds what is installed to what it has to be: manifests build and
// are what Kubernetes, KEDA and the Prometheus Operator know, permissions are the
// least, alerts fire when they should, and the dashboard shows metrics that exist.
//
// It is a module of its own, so that Headroom's does not depend on kustomize and
// Prometheus.
package tests
