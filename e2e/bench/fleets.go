package bench

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/e2e/worker"
)

const (
	// laneLabel is on the nodes of a lane, and keeps its pods together.
	laneLabel = "bench.keda-headroom.github.io/lane"
	// fleetLabel is on the pods of a fleet.
	fleetLabel = "bench.keda-headroom.github.io/fleet"
	// gateLabel opts a pod in to the gate.
	gateLabel = "keda-headroom.github.io/gate"
	// workerImage is the workers' image.
	workerImage = "e2e.keda-headroom.github.io/worker"
	// grace is what a pod's grace period is longer than its work and its
	// termination: nobody is killed who merely finishes.
	grace = 20 * time.Second
)

// deployment is a fleet's, the same for every contender but for its replicas, and
// for the label of pods that are gated.
// Its updates surge by none, so that they take no more connections than the
// fleet has, but for those of pods that are ending.
func deployment(lane contender.Lane, f contender.Fleet, replicas int, gated bool) *appsv1.Deployment {
	selected := map[string]string{fleetLabel: f.Name}
	labels := maps.Clone(selected)
	if gated {
		labels[gateLabel] = "true"
	}
	count, seconds := int32(replicas), int64((f.Termination.Duration()+f.Work.Duration()+grace)/time.Second)
	surge, unavailable := intstr.FromInt32(0), intstr.FromString("25%")
	value := func(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: lane.Namespace, Name: f.Name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &count,
			Selector: &metav1.LabelSelector{MatchLabels: selected},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      labels,
					Annotations: map[string]string{node.StartDelay: f.StartDelay.String()},
				},
				Spec: corev1.PodSpec{
					NodeSelector:                  map[string]string{laneLabel: lane.Namespace},
					Tolerations:                   []corev1.Toleration{{Key: laneLabel, Operator: corev1.TolerationOpExists}},
					TerminationGracePeriodSeconds: &seconds,
					Containers: []corev1.Container{{
						Name: "worker", Image: workerImage,
						Env: []corev1.EnvVar{
							field(worker.PodIP, "status.podIP"), field(worker.PodName, "metadata.name"),
							value(worker.DatabaseURL, lane.Database.DSN(lane.Database.Worker)), value(worker.Table, handledTable),
							value(worker.QueueURL, f.QueueURL), value(worker.Endpoint, lane.AWS.Endpoint), value(worker.Region, lane.AWS.Region),
							value(worker.AccessKeyID, workerKey), value(worker.SecretAccessKey, "local"),
							value(worker.PoolSize, strconv.Itoa(f.ConnectionsPerPod)), value(worker.ExtraConnections, strconv.Itoa(f.Opens()-f.ConnectionsPerPod)),
							value(worker.WorkSeconds, fmt.Sprint(f.Work.Seconds())), value(worker.TerminationSeconds, fmt.Sprint(f.Termination.Seconds())),
						},
					}},
				},
			},
		},
	}
}

// rollOut changes a fleet's pod template.
func rollOut(ctx context.Context, client kubernetes.Interface, namespace, fleet string, revision int) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"bench.keda-headroom.github.io/revision":"%d"}}}}}`, revision)
	_, err := client.AppsV1().Deployments(namespace).Patch(ctx, fleet, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}
