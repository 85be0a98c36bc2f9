// Package agescore scores what package policy estimates of the age of a queue's
// oldest message against the truth, on real traffic and on generated: it has tests
// only. The traces are described in internal/arrivals/testdata/README.md.
package agescore
