//go:build !race

package policy

// unlessRace returns the first value: the race detector makes runs many times
// slower.
func unlessRace(usual, _ int) int { return usual }
