package kube

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// defaultMaxSurge is maxSurge of a Deployment that doesn't say.
var defaultMaxSurge = intorpercent.Percent(25)

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
	if s.Type == appsv1.RecreateDeploymentStrategyType {
		return intorpercent.Value{}
	}
	if s.RollingUpdate == nil || s.RollingUpdate.MaxSurge == nil {
		return defaultMaxSurge
	}
	surge := *s.RollingUpdate.MaxSurge
	if surge.Type == intstr.Int {
		return intorpercent.Count(max(surge.IntValue(), 0))
	}
	parsed, err := intorpercent.Parse(surge.StrVal)
	if err != nil || !parsed.IsPercent() {
		return defaultMaxSurge // the API server lets nothing else through
	}
	return parsed
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
