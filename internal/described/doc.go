// Package described finds the ConfigMap whose policy describes a workload, for
// commands that need no running server.
package described
