package policy

// encode returns what KEDA is told, so that the HPA comes down to target where
// its tolerance would keep more.
//
// The HPA ignores a fall from s replicas (status.replicas) while the metric is at
// least (1−t)·s. The largest value that it acts on is just under that, one
// thousandth being the smallest step a metric has:
//
//	v* = min(target, (⌈1000·s·(1−t)⌉ − 1) / 1000)
//
// With s = 10, t = 0.1 and a target of 9 that is 8.999, and the HPA goes to 9.
// Source: Kubernetes pkg/controller/podautoscaler/replica_calculator.go,
// GetExternalPerPodMetricReplicas.
func encode(target, status, toleranceMilli int) float64 {
	if target >= status || target <= 0 {
		return float64(target)
	}
	// s·(1000 − 1000·t) is exactly 1000·s·(1−t): no rounding gets in.
	acts := status*(1000-min(max(toleranceMilli, 0), 1000)) - 1
	return float64(max(0, min(target*1000, acts))) / 1000
}
