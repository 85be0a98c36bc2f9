// Package scenario reads what is played on a cluster: a database, fleets of
// queue workers on it, another application beside them, and what happens when.
// Each scenario is one file, written for an operator to read and to change; its
// name is the file's.
//
// A scenario says nothing about who scales the fleets. That is a contender, see
// package contender.
package scenario
