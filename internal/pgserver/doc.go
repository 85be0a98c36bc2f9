// Package pgserver starts and controls a private PostgreSQL server: a real
// one, of the version that the machine has, in a directory of its own, on a
// loopback port of its own. Tests and the demo fill it, kill it, hang it and
// restart it with other limits.
//
// The server is as forgetful as it can be: nothing is synced to disk,
// autovacuum is off so that counts of connections are exact, anybody may log
// in from 127.0.0.0/8 as anybody. It must never hold data that matters.
//
// A server ends with what started it: by Stop, with the context given to
// Start, and also when the starting process is killed.
package pgserver
