// Package process runs programs as child processes for the demo and the end-to-end tests:
// each ends in order, by force after a grace, and with its parent, however that ends.
package process
