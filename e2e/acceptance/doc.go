// Package acceptance holds Headroom, installed from its own manifests, to what it
// promises: on a real control plane, beside a real KEDA, with PostgreSQL, SQS and
// worker processes that open real connections.
//
// All tests share one cluster and one Headroom, each in a namespace with a database
// server and queues of its own. Those that take Headroom or the API server away run
// first, one after the other; the others run together. With HEADROOM_E2E_KEEP set
// to anything, logs stay, in a directory that is named at the end.
//
// HEADROOM_E2E_KILLS, HEADROOM_E2E_PAUSES and HEADROOM_E2E_ROLLOUTS make the tests of
// leaders and rollouts longer than they are by default: see make e2e-kills and make
// e2e-rollouts.
package acceptance
