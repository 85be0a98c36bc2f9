// Package replay makes recorded decisions again, by another policy: what would have
// been decided yesterday under this change? By the recorded policy it shows what this
// program decides otherwise than the one that recorded.
//
// It is an open loop. Readings are those that were taken while the recorded policy
// was in force: a target that would have been higher brings no pod into them, and
// works off no message. So a replay shows what would have been decided at each
// moment as it was, not what would have come of it; for that there is package
// forecast.
//
// Replayed decisions remember each other: the ledger is the recorded one at the
// first decision of a database or a workload, and the replay's own from then on.
package replay
