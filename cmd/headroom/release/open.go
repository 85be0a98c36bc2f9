package release

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/keda-headroom/headroom/metrics/kube"
)

// attempts is how often a patch is made anew because the gates of a pod have moved.
const attempts = 5

// open removes our gate from one pod, and from no other of its name. Only the place
// of the gate has to be as it was read: what else others write meanwhile doesn't
// matter.
func open(ctx context.Context, client kubernetes.Interface, p *corev1.Pod) (Outcome, error) {
	pods := client.CoreV1().Pods(p.Namespace)
	uid := p.UID
	var refused error
	for range attempts {
		patch, err := removal(p)
		if err != nil {
			return Failed, err
		}
		_, err = pods.Patch(ctx, p.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: "headroom-release"})
		switch {
		case err == nil:
			return Released, nil
		case apierrors.IsNotFound(err):
			return Gone, nil
		case apierrors.IsForbidden(err):
			return Failed, fmt.Errorf("expected permission to patch pods, and to release pods of keda-headroom.github.io, in namespace %s (ClusterRole headroom-release): %w", p.Namespace, err)
		case !apierrors.IsInvalid(err) && !apierrors.IsConflict(err):
			return Failed, err
		}
		// It is not as it was read: a test of the patch failed.
		refused = err
		newer, err := pods.Get(ctx, p.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || (err == nil && (newer.UID != uid || newer.DeletionTimestamp != nil)):
			return Gone, nil
		case err != nil:
			return Failed, err
		case place(newer) < 0:
			return AlreadyOpen, nil
		}
		p = newer
	}
	return Failed, refused
}

// removal is a JSON patch that takes our gate off a pod, and leaves others.
func removal(p *corev1.Pod) ([]byte, error) {
	at := fmt.Sprintf("/spec/schedulingGates/%d", place(p))
	return json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": p.UID},
		{"op": "test", "path": at + "/name", "value": kube.Gate},
		{"op": "remove", "path": at},
	})
}
