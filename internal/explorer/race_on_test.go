//go:build race

package explorer

const race = true
