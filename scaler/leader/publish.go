package leader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Label is "true" on the leader's pod, and on no other. The Service selects it.
const Label = "keda-headroom.github.io/leader"

// publishEvery is how often it is looked whether the leader's pod is the one that
// is published: a label that an earlier leader sent may come late.
const publishEvery = 2 * time.Second

// installation are the labels that tell which pods belong together, as far as the
// own pod has them.
var installation = []string{"app.kubernetes.io/name", "app.kubernetes.io/instance"}

// publish keeps [Label] on the own pod alone, until the term ends. While the lease
// may be another's it changes nothing.
func (l *Leader) publish(t *term) {
	said := ""
	for {
		now := ""
		if t.fresh() {
			if err := l.label(t); err != nil && t.ctx.Err() == nil {
				now = err.Error()
			}
		}
		if now != "" && now != said {
			l.log.Warn("this pod could not be published as the leader", "problem", now)
		}
		said = now
		if !pause(t.ctx, publishEvery) {
			return
		}
	}
}

// label does so once.
func (l *Leader) label(t *term) error {
	ctx, cancel := t.timeout(t.ctx)
	defer cancel()
	pods := l.options.Client.CoreV1().Pods(l.options.Namespace)
	own, err := pods.Get(ctx, l.options.Pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no pod %s in namespace %s: is its name in POD_NAME?", l.options.Pod, l.options.Namespace)
	}
	if err != nil {
		return err
	}
	selector := belonging(own)
	var errs []error
	if len(selector) > 0 { // else it can't be known which pods are ours
		all, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector.String() + "," + Label})
		if err != nil {
			return err
		}
		for i := range all.Items {
			if p := &all.Items[i]; p.UID != own.UID {
				errs = append(errs, l.set(ctx, t, p, nil))
			}
		}
	}
	if own.Labels[Label] != "true" {
		yes := "true"
		errs = append(errs, l.set(ctx, t, own, &yes))
	}
	return errors.Join(errs...)
}

// set writes the label of a pod, or removes it, if the pod is still the same.
func (l *Leader) set(ctx context.Context, t *term, p *corev1.Pod, value *string) error {
	if !t.fresh() {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": p.UID, "labels": map[string]*string{Label: value},
	}})
	if err != nil {
		return err
	}
	_, err = l.options.Client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("label pod %s/%s: %w", p.Namespace, p.Name, err)
	case value == nil:
		l.log.Info("a pod is no longer published as the leader", "pod", p.Name)
	default:
		l.log.Info("this pod is published as the leader", "pod", p.Name)
	}
	return nil
}
