// Package kedaclient lets KEDA's own client code ask Headroom over TCP, and
// through a restart. It has tests only.
package kedaclient
