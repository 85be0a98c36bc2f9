// Package fakeaws is a local stand-in for Amazon SQS and for CloudWatch's
// GetMetricData, for the demo and for tests. It speaks the wire protocols of
// aws-sdk-go-v2 (AWS JSON 1.0 for both services, and RPC v2 CBOR for
// CloudWatch, which is what that client sends), so the code under test is
// the code that runs against AWS.
//
// Beside what AWS offers it knows the truth: [Server.Truth] gives exact
// counts and ages at any moment, [Server.Calls] what was asked of it, and
// [Server.Inject] makes it fail on purpose.
//
// # Time
//
// The state of a queue is a function of the requests and of time.Now: nothing
// ticks while nobody asks. In a testing/synctest bubble time.Now is virtual,
// and [Server.InProcess] answers SDK clients without a network, so hours of
// delays, visibility timeouts and one-minute points pass in milliseconds and
// always the same way.
//
// # Fidelity
//
// Followed: Amazon SQS Developer Guide and API reference, for standard and
// FIFO queues: long polling, delay, visibility timeout, receipt handles,
// message groups, deduplication, redrive to a dead-letter queue, retention,
// limits, and errors with the shapes and codes that the SDK's typed errors
// match. CloudWatch's age of the oldest message counts in-flight and delayed
// messages, leaves out those received three times or more on a standard
// queue, and starts anew in a dead-letter queue.
//
// Where AWS is approximate, this is exact: counts are not eventually
// consistent, a short poll sees every message, and a standard queue delivers
// a message once per visibility timeout, in the order sent. Not there:
// authentication, policies and encryption (their attributes are kept and
// given back), tags, ReceiveRequestAttemptId, message system attributes such
// as AWSTraceHeader, the one-minute wait before a deleted queue's name can be
// used again, retroactive changes of a FIFO queue's delay, limits of messages
// in flight, and CloudWatch metric math.
package fakeaws
