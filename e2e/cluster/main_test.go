package cluster_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/e2e/cluster"
)

// startTimeout is generous: other tests may run on the same two processors.
const startTimeout = 5 * time.Minute

// patience is how long anything in a cluster may take.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	if dir := os.Getenv(abandonedDir); dir != "" {
		os.Exit(abandon(dir))
	}
	status := m.Run()
	if shared != nil {
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// shared is one cluster with KEDA for all tests that leave it as they found it.
var (
	shared    *cluster.Cluster
	errShared error
	startOnce sync.Once
)

func sharedCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	startOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		shared, errShared = cluster.Start(ctx, cluster.Options{KEDA: true, HPASyncPeriod: time.Second, Log: os.Stderr})
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

// ownCluster is one for this test alone.
func ownCluster(t *testing.T, options cluster.Options) *cluster.Cluster {
	t.Helper()
	options.Log = t.Output()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := cluster.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func apply(t *testing.T, c *cluster.Cluster, documents string) {
	t.Helper()
	if err := c.Apply(t.Context(), []byte(documents)); err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := cluster.WaitFor(t.Context(), patience, what, condition); err != nil {
		t.Fatal(err)
	}
}
