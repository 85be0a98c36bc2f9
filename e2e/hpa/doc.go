// Package hpa holds the arithmetic that policy/ assumes of the
// HorizontalPodAutoscaler against the real controller, over a grid of replicas,
// targets and tolerances. It has tests only.
package hpa
