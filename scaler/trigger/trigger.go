// Package trigger reads the metadata of a KEDA trigger that asks Headroom, the
// same whether KEDA sends it or it stands in a manifest.
package trigger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/metrics"
)

// Keys of the metadata.
const (
	// Workload names the workload of the policy.
	Workload = "workload"
	// WorkloadFromEnv names a variable of the pods that holds the workload's name.
	// KEDA sends its value under this very key.
	WorkloadFromEnv = "workloadFromEnv"
	// ScalerAddress is where KEDA asks.
	ScalerAddress = "scalerAddress"
	// MetricKey says which number of the workload is asked for; left out, its target.
	MetricKey = "metric"
)

// Metric is a number of a workload that can be asked for.
type Metric string

// The metrics.
const (
	// Target is how many replicas there should be.
	Target Metric = "target"
	// Ceiling is how many replicas the databases carry, whatever the demand: what
	// limits the demand of another trigger, in a formula of both.
	Ceiling Metric = "ceiling"
)

// Asked is what a trigger asks for.
type Asked struct {
	Workload metrics.ID
	Metric   Metric
}

// kedaKeys are KEDA's own, which it passes on.
var kedaKeys = []string{ScalerAddress, "enableTLS", "unsafeSsl"}

// Parse returns what the trigger of an object in a namespace asks for, or an error
// that says what to fix in its metadata. A misspelled key is an error:
// whoever wrote it wanted something that would not happen. The value of
// WorkloadFromEnv has to be the variable's, not its name.
func Parse(namespace string, metadata map[string]string) (Asked, error) {
	var unknown []string
	for key := range metadata {
		if key != Workload && key != WorkloadFromEnv && key != MetricKey && !slices.Contains(kedaKeys, strings.TrimSuffix(key, "FromEnv")) {
			unknown = append(unknown, fmt.Sprintf("%q", key))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return Asked{}, fmt.Errorf("expected scalerAddress and workload in the trigger's metadata, found unknown %s: everything else stands in the policy",
			strings.Join(unknown, ", "))
	}
	name, given := metadata[Workload]
	fromEnv, givenFromEnv := metadata[WorkloadFromEnv]
	switch {
	case given && givenFromEnv:
		return Asked{}, errors.New("expected one of workload and workloadFromEnv in the trigger's metadata, found both")
	case givenFromEnv:
		name = fromEnv
	case !given:
		return Asked{}, errors.New("expected workload in the trigger's metadata, found none: name the workload of the policy, as in {scalerAddress: …, workload: order-workers}")
	}
	if name == "" {
		return Asked{}, errors.New("expected the name of a workload as workload in the trigger's metadata, found nothing")
	}
	if strings.Contains(name, "/") {
		return Asked{}, fmt.Errorf("expected the name of a workload in the ScaledObject's own namespace as workload, found %q: leave the namespace out", name)
	}
	metric := Target
	if asked, given := metadata[MetricKey]; given {
		metric = Metric(asked)
	}
	if metric != Target && metric != Ceiling {
		return Asked{}, fmt.Errorf("expected metric in the trigger's metadata to be %s or %s, or left out for %s, found %q", Target, Ceiling, Target, metric)
	}
	return Asked{Workload: metrics.ID{Namespace: namespace, Name: name}, Metric: metric}, nil
}
