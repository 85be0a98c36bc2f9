// Package worker is a queue consumer of the kind that Headroom governs: it
// receives messages from SQS and works on each with a connection of its pool to
// PostgreSQL. It counts the connections that it is refused, each once, so that
// its count can be compared with the server's log.
//
// The demo and the end-to-end tests run it in processes of their own; they
// differ in how those are told what to do.
package worker
