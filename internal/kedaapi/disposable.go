package kedaapi

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// endsOfEviction are the exit codes of a container that is told to stop: of one
// that doesn't handle SIGINT or SIGTERM, and of one that has to be killed.
var endsOfEviction = []int32{128 + 2, 128 + 15, 128 + 9}

// Disposable reports whether a Job goes on with another pod when one is evicted.
// Rules are tried in order, and the first that fits decides: one about exit codes
// that comes before it may be about those of the evicted pod.
func Disposable(policy *batchv1.PodFailurePolicy) bool {
	if policy == nil {
		return false
	}
	for _, rule := range policy.Rules {
		if slices.ContainsFunc(rule.OnPodConditions, func(c batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
			return c.Type == corev1.DisruptionTarget && (c.Status == "" || c.Status == corev1.ConditionTrue)
		}) {
			return rule.Action == batchv1.PodFailurePolicyActionIgnore
		}
		codes := rule.OnExitCodes
		if codes == nil || rule.Action == batchv1.PodFailurePolicyActionIgnore {
			continue
		}
		among := func(code int32) bool { return slices.Contains(codes.Values, code) }
		fits := slices.ContainsFunc(endsOfEviction, among)
		if codes.Operator == batchv1.PodFailurePolicyOnExitCodesOpNotIn {
			fits = slices.ContainsFunc(endsOfEviction, func(code int32) bool { return !among(code) })
		}
		if fits {
			return false
		}
	}
	return false
}
