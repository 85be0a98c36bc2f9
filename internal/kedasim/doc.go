// Package kedasim is KEDA's own part in scaling a ScaledObject, beside the HPA
// that it creates: from zero to one and back. It has no clock and does no I/O;
// time and answers are given. What the HPA does is in package hpa.
//
// It follows KEDA 2.21.0: pkg/scaling/executor/scale_scaledobjects.go (called EX
// here), pkg/scaling/scale_handler.go (SH) and controllers/keda/hpa.go (HC).
// Pausing, fallback, idleReplicaCount, forced activation and
// initialCooldownPeriod are left out.
package kedasim
