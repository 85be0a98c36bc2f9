// Package process runs the programs of end-to-end tests as child processes that
// write to files and end with their parent, however it ends.
package process
