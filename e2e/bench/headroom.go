package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/e2e/service"
	"github.com/keda-headroom/headroom/internal/steadyport"
)

const (
	headroomNamespace = "headroom"
	headroomImage     = "ghcr.io/keda-headroom/headroom"
	headroomPort      = 6000
)

// headroomService is Headroom in the cluster, from its own manifests, at an
// address that stays.
type headroomService struct {
	cluster *cluster.Cluster
	node    *node.Node
	service *service.Service
	// replicas is how many pods its manifests give it.
	replicas int32
}

// installHeadroom installs Headroom, and returns when it is ready.
func (s *stage) installHeadroom(ctx context.Context) error {
	if s.service != nil {
		return nil
	}
	root, err := manifestsDir()
	if err != nil {
		return err
	}
	h := &headroomService{cluster: s.cluster}
	s.service = h
	if h.node, err = s.startNode(ctx, "headroom", nodeOf{}); err != nil {
		return err
	}
	if err := s.cluster.ApplyKustomization(ctx, root); err != nil {
		return err
	}
	port, err := steadyport.Port()
	if err != nil {
		return err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if h.service, err = service.Listen(ctx, s.cluster.Client(), headroomNamespace, "headroom", headroomPort, address); err != nil {
		return err
	}
	return h.awaitReady(ctx)
}

// manifestsDir is where Headroom's manifests with the gate are, seen from the
// directory of the module or of one of its packages.
func manifestsDir() (string, error) {
	for _, up := range []string{"..", filepath.Join("..", "..")} {
		dir := filepath.Join(up, "e2e", "manifests", "headroom")
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("expected the directory e2e/manifests/headroom above: run it in e2e")
}

// address is where KEDA finds Headroom.
func (h *headroomService) address() string { return h.service.Address() }

const readyTimeout = 2 * time.Minute

func (h *headroomService) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready within %s: see %s", readyTimeout, h.node.Logs()))
	defer cancel()
	return wait(ctx, "Headroom to be ready", func() (bool, error) {
		d, err := h.cluster.Client().AppsV1().Deployments(headroomNamespace).Get(ctx, "headroom", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		h.replicas = *d.Spec.Replicas
		return d.Status.ObservedGeneration == d.Generation && d.Status.ReadyReplicas == h.replicas && h.service.Targets() == 1, nil
	})
}

// restartHeadroom takes Headroom away and brings it back at a moment.
func (s *stage) restartHeadroom(ctx context.Context, back time.Time) error {
	if s.service == nil {
		return nil // nobody of this run needs it
	}
	if err := s.service.scale(ctx, 0); err != nil {
		return err
	}
	fmt.Fprintln(s.log, "    headroom is away")
	sleepUntil(ctx, back)
	if err := s.service.scale(context.WithoutCancel(ctx), s.service.replicas); err != nil {
		return err
	}
	fmt.Fprintln(s.log, "    headroom is back")
	return nil
}

func (h *headroomService) scale(ctx context.Context, replicas int32) error {
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	_, err := h.cluster.Client().AppsV1().Deployments(headroomNamespace).Patch(ctx, "headroom", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func (h *headroomService) close() error {
	var errs []error
	if h.service != nil {
		errs = append(errs, h.service.Close())
	}
	if h.node != nil {
		errs = append(errs, h.node.Close())
	}
	return errors.Join(errs...)
}
