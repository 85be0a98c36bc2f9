package kube

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// rolloutDefault is maxSurge and maxUnavailable of a Deployment that doesn't say.
var rolloutDefault = intorpercent.Percent(25)

// deploymentOf keeps of a Deployment its replicas, how it is rolled out, and
// whether its pods are gated.
func deploymentOf(d *appsv1.Deployment) appsv1.Deployment {
	return appsv1.Deployment{
		ObjectMeta: aboutOf(d.ObjectMeta),
		Spec: appsv1.DeploymentSpec{
			Replicas: d.Spec.Replicas, Strategy: d.Spec.Strategy, Paused: d.Spec.Paused, Template: templateOf(d.Spec.Template),
		},
		Status: appsv1.DeploymentStatus{Replicas: d.Status.Replicas},
	}
}

// statefulSetOf does the same for a StatefulSet.
func statefulSetOf(s *appsv1.StatefulSet) appsv1.StatefulSet {
	return appsv1.StatefulSet{
		ObjectMeta: aboutOf(s.ObjectMeta),
		Spec: appsv1.StatefulSetSpec{
			Replicas: s.Spec.Replicas, PodManagementPolicy: s.Spec.PodManagementPolicy,
			UpdateStrategy: s.Spec.UpdateStrategy, Template: templateOf(s.Spec.Template),
		},
		Status: appsv1.StatefulSetStatus{Replicas: s.Status.Replicas},
	}
}

// maxSurge returns how many pods a rollout may add.
func maxSurge(s appsv1.DeploymentStrategy) intorpercent.Value {
	switch {
	case s.Type == appsv1.RecreateDeploymentStrategyType:
		return intorpercent.Value{}
	case s.RollingUpdate == nil:
		return rolloutDefault
	}
	return rolloutShare(s.RollingUpdate.MaxSurge)
}

// maxUnavailable returns how many pods a rollout may do without: all of them where
// it begins by taking the old ones away.
func maxUnavailable(s appsv1.DeploymentStrategy) intorpercent.Value {
	switch {
	case s.Type == appsv1.RecreateDeploymentStrategyType:
		return intorpercent.Percent(100)
	case s.RollingUpdate == nil:
		return rolloutDefault
	}
	return rolloutShare(s.RollingUpdate.MaxUnavailable)
}

// rolloutShare reads a number or percentage of a Deployment's strategy.
func rolloutShare(given *intstr.IntOrString) intorpercent.Value {
	switch {
	case given == nil:
		return rolloutDefault
	case given.Type == intstr.Int:
		return intorpercent.Count(max(given.IntValue(), 0))
	}
	parsed, err := intorpercent.Parse(given.StrVal)
	if err != nil || !parsed.IsPercent() {
		return rolloutDefault // the API server lets nothing else through
	}
	return parsed
}

// setMaxUnavailable returns how many pods a StatefulSet's rollout may do without:
// one, unless it says otherwise; none where somebody else has to delete them.
func setMaxUnavailable(s appsv1.StatefulSetUpdateStrategy) intorpercent.Value {
	switch {
	case s.Type == appsv1.OnDeleteStatefulSetStrategyType:
		return intorpercent.Value{}
	case s.RollingUpdate == nil || s.RollingUpdate.MaxUnavailable == nil:
		return intorpercent.Count(1)
	}
	return rolloutShare(s.RollingUpdate.MaxUnavailable)
}

// ordered reports whether a StatefulSet starts its pods one after the other.
func ordered(policy appsv1.PodManagementPolicyType) bool {
	return policy != appsv1.ParallelPodManagement
}

// replicaSetOf keeps of a ReplicaSet its revision.
func replicaSetOf(r *appsv1.ReplicaSet) int64 { return revisionOf(r.Annotations) }

// controllerRevisionOf keeps the revision alone. A StatefulSet that goes back to
// an earlier template gives its ControllerRevision a new, higher number.
func controllerRevisionOf(r *appsv1.ControllerRevision) int64 { return r.Revision }

// revisionOf reads a revision as Deployments and Argo Rollouts note it, 0 where
// there is none.
func revisionOf(annotations map[string]string) int64 {
	for _, name := range []string{"deployment.kubernetes.io/revision", "rollout.argoproj.io/revision"} {
		if revision, err := strconv.ParseInt(annotations[name], 10, 64); err == nil {
			return revision
		}
	}
	return 0
}

// ordinalOf reads the ordinal from the name of a StatefulSet's pod.
func ordinalOf(name string) int {
	ordinal, err := strconv.ParseUint(name[strings.LastIndexByte(name, '-')+1:], 10, 31)
	if err != nil {
		return 0
	}
	return int(ordinal)
}
