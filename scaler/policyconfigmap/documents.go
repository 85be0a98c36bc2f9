package policyconfigmap

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/policy"
)

// Documents returns the policies in a ConfigMap as the watcher reads them, and what
// is wrong with them: for commands, which look once.
func Documents(m *corev1.ConfigMap) ([]policy.Document, []policy.Problem) {
	var documents []policy.Document
	var problems []policy.Problem
	for _, in := range inputs(m) {
		if in.Err != nil {
			problems = append(problems, policy.Problem{Severity: policy.SeverityError, Where: in.Source.Where, Rule: in.Err.Error()})
			continue
		}
		found, wrong := policy.Parse(in.Source, in.Content)
		documents, problems = append(documents, found...), append(problems, wrong...)
	}
	return documents, problems
}
