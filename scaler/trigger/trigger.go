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
)

// kedaKeys are KEDA's own, which it passes on.
var kedaKeys = []string{ScalerAddress, "enableTLS", "unsafeSsl"}

// Parse returns the workload that the trigger of an object in a namespace names,
// or an error that says what to fix in its metadata. A misspelled key is an error:
// whoever wrote it wanted something that would not happen. The value of
// WorkloadFromEnv has to be the variable's, not its name.
func Parse(namespace string, metadata map[string]string) (metrics.ID, error) {
	var unknown []string
	for key := range metadata {
		if key != Workload && key != WorkloadFromEnv && !slices.Contains(kedaKeys, strings.TrimSuffix(key, "FromEnv")) {
			unknown = append(unknown, fmt.Sprintf("%q", key))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return metrics.ID{}, fmt.Errorf("expected scalerAddress and workload in the trigger's metadata, found unknown %s: everything else stands in the policy",
			strings.Join(unknown, ", "))
	}
	name, given := metadata[Workload]
	fromEnv, givenFromEnv := metadata[WorkloadFromEnv]
	switch {
	case given && givenFromEnv:
		return metrics.ID{}, errors.New("expected one of workload and workloadFromEnv in the trigger's metadata, found both")
	case givenFromEnv:
		name = fromEnv
	case !given:
		return metrics.ID{}, errors.New("expected workload in the trigger's metadata, found none: name the workload of the policy, as in {scalerAddress: …, workload: order-workers}")
	}
	if name == "" {
		return metrics.ID{}, errors.New("expected the name of a workload as workload in the trigger's metadata, found nothing")
	}
	if strings.Contains(name, "/") {
		return metrics.ID{}, fmt.Errorf("expected the name of a workload in the ScaledObject's own namespace as workload, found %q: leave the namespace out", name)
	}
	return metrics.ID{Namespace: namespace, Name: name}, nil
}
