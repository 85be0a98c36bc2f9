// Package demo shows what Headroom is for, on real things: a private PostgreSQL
// server (or any that is given), a local SQS over HTTP, workers as processes of
// their own that open real connections and consume real messages, another
// application that shares the server with them, and the real `headroom serve`.
// Only KEDA and the HPA are stood in for, by their own arithmetic (packages
// internal/kedasim and internal/hpa) and by their own calls over gRPC.
//
// The same burst is run three times: on queue depth alone with KEDA's documented
// defaults, on Headroom, and with a fixed number of replicas that just fits (the
// bound). Nothing in the report is known beforehand; clients count their own
// refusals, the server's log is the witness.
//
// The file list is the architecture:
//
//	scenario.go   the numbers: server, burst, other application, intervals
//	site.go       the PostgreSQL server, or the part of one that is lent to us
//	burst.go      the queue and what goes into it
//	worker.go     a worker's process, which is package internal/worker
//	pod.go        what runs it                 fleet.go      a Deployment of them
//	otherapp.go   the other application, which is package internal/otherapp
//	keda.go       KEDA and the HPA            trigger_*.go  what they ask
//	headroom.go   the real server, its policy and its process
//	occupancy.go  who holds connections, ten times a second
//	run.go        one run                     demo.go    all three
//	progress.go   while it runs               report.go  afterwards
package demo
