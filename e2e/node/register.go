package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// hostIP is where the node itself is.
const hostIP = "127.0.0.1"

// capacity is enough for whatever pods ask for.
func capacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourcePods:             resource.MustParse("500"),
		corev1.ResourceCPU:              resource.MustParse("10k"),
		corev1.ResourceMemory:           resource.MustParse("100Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Ti"),
	}
}

// register makes the Node, takes over one that is there, and makes it ready.
func (n *Node) register(ctx context.Context) error {
	nodes, name := n.client.CoreV1().Nodes(), n.options.Name
	labels := map[string]string{
		corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
	}
	maps.Copy(labels, n.options.Labels)
	_, err := nodes.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       corev1.NodeSpec{Taints: n.options.Taints},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		var body []byte
		if body, err = json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}}); err == nil {
			_, err = nodes.Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := n.renew(ctx); err != nil {
		return err
	}
	object, err := n.beReady(ctx)
	if err != nil {
		return err
	}
	// Every new Node is tainted as not ready. The node-lifecycle controller takes
	// that away within seconds; nobody need wait for it.
	notReady := slices.IndexFunc(object.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady })
	if notReady < 0 {
		return nil
	}
	body, err := json.Marshal([]map[string]any{
		{"op": "test", "path": fmt.Sprintf("/spec/taints/%d/key", notReady), "value": corev1.TaintNodeNotReady},
		{"op": "remove", "path": fmt.Sprintf("/spec/taints/%d", notReady)},
	})
	if err != nil {
		return err
	}
	_, err = nodes.Patch(ctx, name, types.JSONPatchType, body, metav1.PatchOptions{})
	if apierrors.IsInvalid(err) { // the controller was faster
		return nil
	}
	return err
}

// beReady sets the Node's status, and returns the Node.
func (n *Node) beReady(ctx context.Context) (*corev1.Node, error) {
	now := metav1.Now()
	condition := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	body, err := json.Marshal(map[string]any{"status": corev1.NodeStatus{
		Capacity: capacity(), Allocatable: capacity(),
		Conditions: []corev1.NodeCondition{
			condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady"),
			condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory"),
			condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure"),
			condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID"),
		},
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: hostIP}, {Type: corev1.NodeHostName, Address: n.options.Name},
		},
	}})
	if err != nil {
		return nil, err
	}
	object, err := n.client.CoreV1().Nodes().Patch(ctx, n.options.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	if err != nil {
		return nil, fmt.Errorf("report that it is ready: %w", err)
	}
	return object, nil
}

// renew renews the Node's Lease, or makes it.
func (n *Node) renew(ctx context.Context) error {
	leases := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now, seconds := metav1.NowMicro(), int32(40)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &n.options.Name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	body, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, n.options.Name, types.MergePatchType, body, metav1.PatchOptions{})
	for apierrors.IsNotFound(err) { // the lease, or in a new cluster its namespace
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.options.Name}, Spec: spec}, metav1.CreateOptions{})
		if apierrors.IsNotFound(err) && !pause(ctx, 200*time.Millisecond) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("renew its lease: %w", err)
	}
	return nil
}

// heartbeat shows that the node is there, and says so again where the API has
// come to think otherwise.
func (n *Node) heartbeat() {
	ticker := time.NewTicker(n.options.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-n.reachable.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(n.reachable, n.options.Heartbeat)
		err := n.beat(ctx)
		cancel()
		if err != nil && n.reachable.Err() == nil {
			n.options.Log.Warn("no heartbeat", "error", err)
		}
	}
}

func (n *Node) beat(ctx context.Context) error {
	if err := n.renew(ctx); err != nil {
		return err
	}
	object, err := n.client.CoreV1().Nodes().Get(ctx, n.options.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range object.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	_, err = n.beReady(ctx)
	return err
}

// pause returns false if ctx ends meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
