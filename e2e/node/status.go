package node

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// state is what a node knows of a pod: one container, and an address.
type state struct {
	phase     corev1.PodPhase
	startTime metav1.Time
	address   string
	container corev1.ContainerStatus
	// message says why a container is not ready, for a person.
	conditions []corev1.PodCondition
}

// waiting is the state of a container that does not run.
func (s *state) waiting(reason, message string) {
	s.container.Ready = false
	s.started(false)
	s.container.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func (s *state) running() {
	s.phase = corev1.PodRunning
	s.container.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
}

func (s *state) started(yes bool) { s.container.Started = &yes }

// terminated keeps what was running as the way it ended.
func (s *state) terminated(code int, reason string) {
	end := &corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: reason, FinishedAt: metav1.Now(), ContainerID: s.container.ContainerID}
	if s.container.State.Running != nil {
		end.StartedAt = s.container.State.Running.StartedAt
	}
	s.container.Ready = false
	s.started(false)
	s.container.State = corev1.ContainerState{Terminated: end}
}

// again puts the way a container ended behind it.
func (s *state) again() {
	if s.container.State.Terminated != nil {
		s.container.LastTerminationState = s.container.State
	}
}

// status is what the API is told. object is what it said last.
func (s *state) status(object *corev1.Pod) corev1.PodStatus {
	s.container.Name, s.container.Image = object.Spec.Containers[0].Name, object.Spec.Containers[0].Image
	done := s.phase == corev1.PodSucceeded || s.phase == corev1.PodFailed
	s.condition(corev1.PodReadyToStartContainers, s.address != "" && !done, "", "")
	s.condition(corev1.PodInitialized, true, "", "")
	s.condition(corev1.PodScheduled, true, "", "")
	reason, message := "", ""
	switch {
	case s.phase == corev1.PodSucceeded:
		reason = "PodCompleted"
	case s.phase == corev1.PodFailed:
		reason = "PodFailed"
	case !s.container.Ready:
		reason, message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", s.container.Name)
	}
	s.condition(corev1.ContainersReady, s.container.Ready, reason, message)
	ready := s.container.Ready
	if gate, ok := closedGate(object); ready && ok {
		ready, reason, message = false, "ReadinessGatesNotReady", fmt.Sprintf("the status of pod readiness gate %q is not True", gate)
	}
	s.condition(corev1.PodReady, ready, reason, message)
	status := corev1.PodStatus{
		ObservedGeneration: object.Generation,
		Phase:              s.phase, StartTime: &s.startTime, HostIP: hostIP, HostIPs: []corev1.HostIP{{IP: hostIP}},
		Conditions: slices.Clone(s.conditions), ContainerStatuses: []corev1.ContainerStatus{*s.container.DeepCopy()},
	}
	if s.address != "" {
		status.PodIP, status.PodIPs = s.address, []corev1.PodIP{{IP: s.address}}
	}
	return status
}

// closedGate returns a readiness gate of the pod that is not open.
func closedGate(object *corev1.Pod) (string, bool) {
	for _, gate := range object.Spec.ReadinessGates {
		open := slices.ContainsFunc(object.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		})
		if !open {
			return string(gate.ConditionType), true
		}
	}
	return "", false
}

// condition sets one, and its time where it has changed.
func (s *state) condition(t corev1.PodConditionType, yes bool, reason, message string) {
	status := corev1.ConditionFalse
	if yes {
		status = corev1.ConditionTrue
	}
	i := slices.IndexFunc(s.conditions, func(c corev1.PodCondition) bool { return c.Type == t })
	if i < 0 {
		s.conditions = append(s.conditions, corev1.PodCondition{Type: t})
		i = len(s.conditions) - 1
	}
	c := &s.conditions[i]
	if c.Status != status {
		c.Status, c.LastTransitionTime = status, metav1.Now()
	}
	c.Reason, c.Message = reason, message
}
