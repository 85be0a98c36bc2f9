// Package hpa is the arithmetic of Kubernetes' HorizontalPodAutoscaler for one
// external metric of type AverageValue: what KEDA puts between a scaler and the
// pods. It has no clock and does no I/O; time and metric are given.
//
// It follows pkg/controller/podautoscaler of Kubernetes 1.36.4
// (replica_calculator.go, called RC here, and horizontal.go, called HZ) step by
// step, its oddities included, with HPAConfigurableTolerance on and
// HPAScaleToZero off, which are the defaults of that version.
package hpa
