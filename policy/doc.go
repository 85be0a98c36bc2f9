// Package policy decides: from readings and policies to one plan.
//
// It is pure. It has no clock, does no I/O and logs nothing; nothing in its
// dependencies speaks to AWS, Kubernetes, gRPC, a database or Prometheus
// (`make check-purity`). The same inputs give the same plan, so that a plan can
// be replayed from the snapshot it was made from.
//
//	documents ── Parse ──▶ Set ── Groups ──▶ Group ─┐
//	readings ─────────────▶ Snapshot ───────────────┼─ Decide(now, …) ─▶ Plan, Ledger
//	previous Ledger ────────────────────────────────┘
//
// The caller's duties: call Decide with a now that does not run backwards; hand
// back the Ledger it returned last time for the same group; take every reading's
// begin time before the reading begins; show every living pod in the Fleet.
package policy
