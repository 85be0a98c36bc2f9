// Package worker is the program in the containers of workers: a queue consumer
// (package internal/worker) that is configured by its environment, as a real one
// is, and reports what happens to it as lines of JSON on its standard output.
package worker
