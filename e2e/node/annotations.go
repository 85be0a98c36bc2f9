package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of a pod, by which its node treats it. Durations are Go's, as in
// 1m30s; what can't be read counts as not given.
const (
	prefix = "e2e.keda-headroom.github.io/"
	// StartDelay is how long the pod's container is being created: its image
	// pulled, its volumes mounted, its init containers run.
	StartDelay = prefix + "start-delay"
	// ReadyAfter is how long after its start a container becomes ready at the
	// earliest.
	ReadyAfter = prefix + "ready-after"
	// ImagePullFailure is "true" as long as the image can't be pulled.
	ImagePullFailure = prefix + "image-pull-failure"
	// ExitAfter is how long after each start the container crashes (SIGKILL, exit
	// code 137).
	ExitAfter = prefix + "exit-after"
)

// duration is an annotation's, 0 where there is none.
func duration(pod *corev1.Pod, annotation string) time.Duration {
	d, err := time.ParseDuration(pod.Annotations[annotation])
	if err != nil || d < 0 {
		return 0
	}
	return d
}
