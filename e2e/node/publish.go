package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// shortestRetry and longestRetry bound the wait after the API has not taken
	// what it was told.
	shortestRetry, longestRetry = 200 * time.Millisecond, 2 * time.Second
	requestTimeout              = 20 * time.Second
)

// publish tells the API of every change of the pod, the latest state first and
// only, and deletes the object at the end where that was asked for. However long
// the API is away, it is told in the end; a lost node says nothing more.
func (p *pod) publish() {
	for {
		select {
		case <-p.node.reachable.Done():
			return
		case <-p.dirty:
		}
		last, status := p.snapshot()
		if !p.insist("report its status", func(ctx context.Context) error { return p.patch(ctx, status) }) {
			return
		}
		if last {
			p.insist("delete it", p.delete)
			return
		}
	}
}

// insist repeats a call until it succeeds. It returns false when the pod is no
// longer in the API, or the node no longer reaches it.
func (p *pod) insist(what string, call func(context.Context) error) bool {
	for wait := shortestRetry; ; wait = min(2*wait, longestRetry) {
		ctx, cancel := context.WithTimeout(p.node.reachable, requestTimeout)
		err := call(ctx)
		if apierrors.IsConflict(err) && p.replaced(ctx) {
			err = apierrors.NewNotFound(corev1.Resource("pods"), p.podName)
		}
		cancel()
		switch {
		case err == nil:
			return true
		case apierrors.IsNotFound(err):
			return false
		case p.node.reachable.Err() == nil:
			p.node.options.Log.Warn(what, "pod", p.name(), "error", err)
		}
		if !pause(p.node.reachable, wait) {
			return false
		}
	}
}

// replaced is true where another pod has the name.
func (p *pod) replaced(ctx context.Context) bool {
	object, err := p.node.client.CoreV1().Pods(p.namespace).Get(ctx, p.podName, metav1.GetOptions{})
	return err == nil && object.UID != p.uid
}

func (p *pod) patch(ctx context.Context, status corev1.PodStatus) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": p.uid},
		"status":   status,
	})
	if err != nil {
		return fmt.Errorf("write a status: %w", err)
	}
	_, err = p.node.client.CoreV1().Pods(p.namespace).Patch(ctx, p.podName, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

func (p *pod) delete(ctx context.Context) error {
	now := int64(0)
	return p.node.client.CoreV1().Pods(p.namespace).Delete(ctx, p.podName, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &p.uid},
	})
}
