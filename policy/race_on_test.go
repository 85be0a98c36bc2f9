//go:build race

package policy

// unlessRace returns the second value: the race detector makes runs many times
// slower.
func unlessRace(_, race int) int { return race }
