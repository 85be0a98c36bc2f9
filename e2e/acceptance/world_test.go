package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/e2e/binaries"
	"github.com/keda-headroom/headroom/e2e/cluster"
	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/internal/fakeaws"
	"github.com/keda-headroom/headroom/internal/worker"
)

const (
	region        = "us-east-1"
	headroomImage = "ghcr.io/keda-headroom/headroom"
	workerImage   = "e2e.keda-headroom.github.io/worker"
	// workerKey is the access key that workers have at SQS; Headroom's and KEDA's are
	// their names.
	workerKey = "worker"
)

// world is what all tests share.
type world struct {
	*cluster.Cluster
	dir      string
	program  string // headroom
	workers  string
	node     *node.Node
	aws      *fakeaws.Server
	queues   *sqs.Client
	headroom *installation

	mu       sync.Mutex
	refusals map[string]int // of workers, by namespace
	sites    int
	outages  []outage
	networks []net.Listener // keep others off our pods' addresses
}

// outage is a time in which the API server was away or had just come back.
type outage struct{ from, to time.Time }

var (
	shared    *world
	errShared error
	startOnce sync.Once
)

// theWorld starts everything for the first test that asks.
func theWorld(t *testing.T) *world {
	t.Helper()
	startOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		shared = &world{refusals: map[string]int{}}
		errShared = shared.start(ctx)
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

func (w *world) start(ctx context.Context) error {
	var err error
	if w.dir, err = os.MkdirTemp("", "headroom-acceptance-"); err != nil {
		return err
	}
	if w.program, err = binaries.Program(ctx, os.Stderr, "github.com/keda-headroom/headroom/cmd/headroom"); err != nil {
		return err
	}
	w.workers, err = binaries.Program(ctx, os.Stderr, "github.com/keda-headroom/headroom/e2e/cmd/worker")
	if err != nil {
		return err
	}
	w.aws = fakeaws.New(fakeaws.Options{Region: region})
	if _, err := w.aws.Start(""); err != nil {
		return err
	}
	w.queues = sqs.NewFromConfig(w.aws.Config())
	if w.Cluster, err = cluster.Start(ctx, cluster.Options{
		KEDA: true, HPASyncPeriod: time.Second, Dir: filepath.Join(w.dir, "cluster"), Log: os.Stderr,
	}); err != nil {
		return err
	}
	addresses, err := w.addresses()
	if err != nil {
		return err
	}
	if w.node, err = node.Start(ctx, node.Options{
		Config: w.Config(), Name: "node-1", Addresses: addresses, Dir: filepath.Join(w.dir, "node"), Backoff: time.Second,
		Programs: map[string]node.Program{
			headroomImage: {
				Path: w.program, ServiceAccount: true,
				Env:    []string{"AWS_ACCESS_KEY_ID=headroom", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION=" + region},
				Listen: map[string]string{"--grpc-address": ":6000", "--http-address": ":8080"},
			},
			workerImage: w.workerProgram(),
		},
	}); err != nil {
		return err
	}
	w.headroom, err = install(ctx, w)
	return err
}

// addresses takes a network of loopback addresses that no other run of these tests
// uses.
func (w *world) addresses() (*node.Addresses, error) {
	const first, last = 3, 9 // other tests' nodes have those above
	var errs []error
	for n := first; n <= last; n++ {
		network, err := net.Listen("tcp", fmt.Sprintf("127.%d.255.1:6000", n))
		if err == nil {
			w.mu.Lock()
			w.networks = append(w.networks, network)
			w.mu.Unlock()
			return node.Loopback(n)
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("a network for pods: %w", errors.Join(errs...))
}

// workerProgram is what runs for the workers' image.
func (w *world) workerProgram() node.Program {
	return node.Program{Path: w.workers, ReportsReady: true, Line: w.heard}
}

// heard notes what a worker writes.
func (w *world) heard(pod *corev1.Pod, line []byte) {
	var e worker.Event
	if json.Unmarshal(line, &e) != nil || e.Kind != worker.Refused {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusals[pod.Namespace] += e.Count
}

func (w *world) refused(namespace string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusals[namespace]
}

// settled notes that the API server is back since just now, and was away since from.
func (w *world) settled(from time.Time) {
	const learning = 20 * time.Second // its roles, on a slow machine
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outages = append(w.outages, outage{from, time.Now().Add(learning)})
}

// unsettled says whether a line of a JSON log is from an outage.
func (w *world) unsettled(line []byte) bool {
	var entry struct{ Time time.Time }
	if json.Unmarshal(line, &entry) != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.outages, func(o outage) bool { return entry.Time.After(o.from) && entry.Time.Before(o.to) })
}

// nextNamespace is one that no test has had.
func (w *world) nextNamespace() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sites++
	return "site-" + strconv.Itoa(w.sites)
}

// close ends everything, and fails where Headroom was ever refused something by the
// API server: the roles that we ship suffice for all that it was asked for.
func (w *world) close() error {
	var errs []error
	if w.headroom != nil {
		errs = append(errs, w.headroom.neverForbidden(), w.headroom.close())
	}
	if w.node != nil {
		errs = append(errs, w.node.Close())
	}
	if w.Cluster != nil {
		errs = append(errs, w.Cluster.Close())
	}
	if w.aws != nil {
		w.aws.Close()
	}
	for _, network := range w.networks {
		errs = append(errs, network.Close())
	}
	if kept := os.Getenv("HEADROOM_E2E_KEEP"); kept == "" {
		errs = append(errs, os.RemoveAll(w.dir))
	} else {
		fmt.Fprintln(os.Stderr, "kept:", w.dir)
	}
	return errors.Join(errs...)
}
