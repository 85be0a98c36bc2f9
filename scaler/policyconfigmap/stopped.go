package policyconfigmap

import (
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/scaler/policies"
)

// StoppedAnnotation names the workloads of a policy's ConfigMap that are stopped:
// frozen at what they hold until their names are taken out again. Names stand with
// commas between them; "*" is every workload in the ConfigMap.
const StoppedAnnotation = "keda-headroom.github.io/stopped"

// ParseStopped reads the annotation's value: the names in it, sorted, each once.
// An empty value stops nobody.
func ParseStopped(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// FormatStopped writes the annotation's value, "" where nobody is stopped: then the
// annotation is taken away.
func FormatStopped(names []string) string {
	if slices.Contains(names, policies.StopAll) {
		return policies.StopAll
	}
	return strings.Join(ParseStopped(strings.Join(names, ",")), ",")
}
