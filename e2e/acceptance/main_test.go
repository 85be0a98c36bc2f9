package acceptance

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

const (
	// patience is how long anything in the cluster may take. The machine may be slow.
	patience = 6 * time.Minute
	// startTimeout is for the cluster and everything in it.
	startTimeout = 5 * time.Minute
	// together is how many tests run at the same time. They mostly wait.
	together = "5"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", together); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if shared != nil {
		if err := shared.close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}
