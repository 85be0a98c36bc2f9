// Package bench plays scenarios for contenders on a real control plane, and
// measures how they did.
//
// All contenders of a scenario run side by side in one cluster, each in a lane:
// a namespace, a node, a PostgreSQL server, an SQS and another application of its
// own. Nothing is faster than in production. Components of the cluster grant each
// lane as many requests and workers as they grant a cluster by default.
//
// The file list is the architecture:
//
//	options.go   what to play              run.go       one scenario after the other
//	stage.go     the cluster, Headroom     lane.go      a lane's beginning and end
//	database.go  a lane's server           watcher.go   who holds connections
//	queues.go    a lane's SQS              timeline.go  what happens when
//	fleets.go    Deployments of workers    replicas.go  what becomes of them
//	tally.go     what workers tell         outcome.go   a lane's result
//	machine.go   how busy the machine is   versions.go  what took part
package bench
