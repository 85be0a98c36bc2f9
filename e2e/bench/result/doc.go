// Package result holds what was measured in a run of the benchmark, computes it
// from samples and counts, and keeps it as JSON lines.
package result
