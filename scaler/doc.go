// Package scaler says what was decided: it plans on every changed reading and
// renders the current plans for KEDA (gRPC), for people and tools (HTTP, logs)
// and for Prometheus.
//
//	Sources ── readings ─▶ Planner ─▶ State ─┬─▶ Service   KEDA's external-scaler RPCs
//	policy.Set ──────────▶    │              ├─▶ Telemetry Prometheus, at each scrape
//	                          ▼              ├─▶ LogChanges one line per changed target
//	                       Recorder          └─▶ NewHandler HTTP
//
// One goroutine plans. It publishes an immutable [State] through one atomic
// pointer; whoever renders it reads that pointer, holds no lock and waits for
// nobody, and nobody who is slow can make the planner wait. Who has to hear of
// changes follows [State.Next].
package scaler
