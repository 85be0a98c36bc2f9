package leader

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// successorAgain is how often it is looked whether another one leads.
const successorAgain = 200 * time.Millisecond

// Succeeded waits, after Run has let go of the lease, until another one leads, and
// reports whether one does. Where no other pod of the installation is ready to, it
// doesn't wait; nor for longer than ctx.
func (l *Leader) Succeeded(ctx context.Context) bool {
	if l.options.Alone || !l.hasLed() || !l.hasOthers(ctx) {
		return false
	}
	for {
		lease, err := l.options.Client.CoordinationV1().Leases(l.options.Namespace).Get(ctx, l.options.LeaseName, metav1.GetOptions{})
		if err == nil && lease.Spec.HolderIdentity != nil {
			holder := *lease.Spec.HolderIdentity
			if _, own := l.ours.Load(holder); holder != "" && !own {
				l.log.Info("another one leads", "leader", podOf(holder))
				return true
			}
		}
		if !pause(ctx, successorAgain) {
			return false
		}
	}
}

// hasOthers reports whether another pod of the installation is ready.
func (l *Leader) hasOthers(ctx context.Context) bool {
	pods := l.options.Client.CoreV1().Pods(l.options.Namespace)
	own, err := pods.Get(ctx, l.options.Pod, metav1.GetOptions{})
	if err != nil {
		return false
	}
	selector := belonging(own)
	if len(selector) == 0 {
		return false
	}
	all, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return false
	}
	for i := range all.Items {
		if p := &all.Items[i]; p.UID != own.UID && p.DeletionTimestamp == nil && ready(p) {
			return true
		}
	}
	return false
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// belonging are the labels of the installation that a pod is of, as far as it has
// them.
func belonging(p *corev1.Pod) labels.Set {
	out := labels.Set{}
	for _, key := range installation {
		if value, ok := p.Labels[key]; ok {
			out[key] = value
		}
	}
	return out
}
