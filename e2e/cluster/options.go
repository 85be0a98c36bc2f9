package cluster

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/e2e/binaries"
)

// Options say what cluster to [Start]. The zero value is a control plane as Kubernetes
// configures it by default, without KEDA.
type Options struct {
	// Binaries are the programs. Where ControlPlane is "" they are built, or taken
	// from where they were kept.
	Binaries binaries.Binaries
	// Dir is for keys, data and logs: a directory that is empty or isn't there yet, and
	// that stays. "" is a temporary one that Close removes.
	Dir string
	// KEDA runs KEDA, too.
	KEDA bool
	// HPASyncPeriod is the time between two syncs of a HorizontalPodAutoscaler; 0 is
	// Kubernetes' default, 15 s.
	HPASyncPeriod time.Duration
	// HPATolerance is the deviation that the controller ignores, as a fraction; 0 is
	// Kubernetes' default, 0.1.
	HPATolerance float64
	// FeatureGates of Kubernetes' components, by name.
	FeatureGates map[string]bool
	// EmulatedVersion makes Kubernetes behave as an older version of itself, as in
	// "1.34"; "" is the version that it is.
	EmulatedVersion string
	// Flags are more flags of components, by the component's name. They overrule ours.
	Flags map[string][]string
	// Log is told what starts and what ends unasked; nil tells nobody.
	Log io.Writer
}

// versionFlags are those that make Kubernetes' components behave as another version.
func (o Options) versionFlags() []string {
	var flags []string
	if o.EmulatedVersion != "" {
		flags = append(flags, "--emulated-version="+o.EmulatedVersion)
	}
	var gates []string
	for _, name := range slices.Sorted(maps.Keys(o.FeatureGates)) {
		gates = append(gates, fmt.Sprintf("%s=%t", name, o.FeatureGates[name]))
	}
	if len(gates) > 0 {
		flags = append(flags, "--feature-gates="+strings.Join(gates, ","))
	}
	return flags
}

// hpaFlags are the controller manager's for its autoscaler.
func (o Options) hpaFlags() []string {
	var flags []string
	if o.HPASyncPeriod > 0 {
		flags = append(flags, "--horizontal-pod-autoscaler-sync-period="+o.HPASyncPeriod.String())
	}
	if o.HPATolerance > 0 {
		flags = append(flags, "--horizontal-pod-autoscaler-tolerance="+strconv.FormatFloat(o.HPATolerance, 'g', -1, 64))
	}
	return flags
}
