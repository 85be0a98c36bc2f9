// Package serve is Headroom's service as one call: everything that `headroom
// serve` starts, and stops again.
package serve
