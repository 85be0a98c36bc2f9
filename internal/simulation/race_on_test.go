//go:build race

package simulation

// unlessRace returns the second value: the race detector makes runs many times
// slower.
func unlessRace(_, race uint64) uint64 { return race }
