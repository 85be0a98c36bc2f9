package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keda-headroom/headroom/e2e/binaries"
	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// Programs by import path.
const (
	headroomProgram = "github.com/keda-headroom/headroom/cmd/headroom"
	workerProgram   = "github.com/keda-headroom/headroom/e2e/cmd/worker"
)

// stage is what all lanes share: the cluster, and Headroom in it.
type stage struct {
	cluster          *cluster.Cluster
	binaries         binaries.Binaries
	headroom, worker string // programs
	dir              string // of logs
	log              io.Writer
	commit           string // that Headroom was built from
	service          *headroomService

	mu      sync.Mutex
	network int // 127.N.0.0/16, that pods get next
}

// setStage builds what is to be run, with Headroom or without, and starts a
// cluster for so many lanes.
func setStage(ctx context.Context, o Options, headroom bool, lanes int) (*stage, error) {
	dir, log := o.Dir, o.Log
	s := &stage{dir: dir, log: log, network: o.FirstNetwork}
	var err error
	if s.binaries, err = binaries.Build(ctx, log); err != nil {
		return nil, err
	}
	// Before it is built: a tree that changes meanwhile is another one.
	if s.commit, err = gitVersion(ctx); err != nil {
		return nil, err
	}
	if headroom {
		if s.headroom, err = binaries.Program(ctx, log, headroomProgram); err != nil {
			return nil, err
		}
	}
	if s.worker, err = binaries.Program(ctx, log, workerProgram); err != nil {
		return nil, err
	}
	s.cluster, err = cluster.Start(ctx, cluster.Options{
		Binaries: s.binaries, Dir: filepath.Join(dir, "cluster"), KEDA: true, Flags: limits(lanes), Log: log,
	})
	return s, err
}

// limits are flags that give each lane what components grant a whole cluster by
// default: else lanes would take requests and workers from each other.
func limits(lanes int) map[string][]string {
	requests := func(perSecond, burst int) []string {
		return []string{fmt.Sprintf("--kube-api-qps=%d", perSecond*lanes), fmt.Sprintf("--kube-api-burst=%d", burst*lanes)}
	}
	manager := requests(20, 30)
	for _, controller := range []string{"deployment", "replicaset", "horizontal-pod-autoscaler"} {
		manager = append(manager, fmt.Sprintf("--concurrent-%s-syncs=%d", controller, 5*lanes))
	}
	return map[string][]string{
		"kube-controller-manager": manager,
		"kube-scheduler":          requests(50, 100),
		"keda-operator":           requests(20, 30),
		"keda-metrics-apiserver":  requests(20, 30),
	}
}

// close ends everything of the cluster.
func (s *stage) close() error {
	var errs []error
	if s.service != nil {
		errs = append(errs, s.service.close())
	}
	return errors.Join(append(errs, s.cluster.Close())...)
}

// nodeOf says what a node is for: the pods of a lane, or Headroom's.
type nodeOf struct {
	lane   string
	worker func(line []byte) // is told what workers write
}

// Networks that pods get addresses of; those below are others'.
const firstNetwork, lastNetwork = 10, 249

// startNode starts a node that takes nobody else's pods.
func (s *stage) startNode(ctx context.Context, name string, of nodeOf) (*node.Node, error) {
	s.mu.Lock()
	network := s.network
	if s.network++; s.network > lastNetwork { // who used the first ones so long ago is gone
		s.network = firstNetwork
	}
	s.mu.Unlock()
	addresses, err := node.Loopback(network)
	if err != nil {
		return nil, err
	}
	o := node.Options{
		Config: s.cluster.Config(), Name: name, Addresses: addresses, Dir: filepath.Join(s.dir, "nodes", name),
		Programs: map[string]node.Program{
			headroomImage: {
				Path: s.headroom, ServiceAccount: true,
				Env:    []string{"AWS_ACCESS_KEY_ID=headroom", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION=" + region},
				Listen: map[string]string{"--grpc-address": ":6000", "--http-address": ":8080"},
			},
		},
	}
	if of.lane != "" {
		o.Labels = map[string]string{laneLabel: of.lane}
		o.Taints = []corev1.Taint{{Key: laneLabel, Value: of.lane, Effect: corev1.TaintEffectNoSchedule}}
		o.Programs = map[string]node.Program{workerImage: {
			Path: s.worker, ReportsReady: true, Line: func(_ *corev1.Pod, line []byte) { of.worker(line) },
		}}
	}
	return node.Start(ctx, o)
}

// forgetNode deletes the Node object of a node that was closed.
func (s *stage) forgetNode(ctx context.Context, n *node.Node) error {
	err := s.cluster.Client().CoreV1().Nodes().Delete(ctx, n.Name(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) { // it was lost
		return nil
	}
	return err
}

// play plays the steps of a timeline that are of the whole cluster.
func (s *stage) play(ctx context.Context, steps []scenario.Step, begin time.Time) error {
	var taking sync.WaitGroup
	var failed failures
	for _, step := range steps {
		if step.Do != scenario.Restart {
			continue
		}
		taking.Go(func() {
			if sleepUntil(ctx, begin.Add(step.At.Duration())) {
				failed.add(s.restart(ctx, step))
			}
		})
	}
	taking.Wait()
	return failed.all()
}

// restart takes something away and brings it back. What was taken away comes back
// though ctx ends meanwhile.
func (s *stage) restart(ctx context.Context, step scenario.Step) error {
	back := time.Now().Add(step.For.Duration())
	var components []*cluster.Component
	switch step.Component {
	case scenario.Headroom:
		return s.restartHeadroom(ctx, back)
	case scenario.KEDA:
		components = []*cluster.Component{s.cluster.Component("keda-operator"), s.cluster.Component("keda-metrics-apiserver")}
	case scenario.APIServer:
		components = []*cluster.Component{s.cluster.Component("kube-apiserver")}
	}
	for _, c := range components {
		c.Kill()
		fmt.Fprintf(s.log, "    %s is away\n", c.Name())
	}
	sleepUntil(ctx, back)
	var errs []error
	for _, c := range components {
		errs = append(errs, c.Start(context.WithoutCancel(ctx)))
		fmt.Fprintf(s.log, "    %s is back\n", c.Name())
	}
	return errors.Join(errs...)
}
