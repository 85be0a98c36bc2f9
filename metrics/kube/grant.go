package kube

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/keda-headroom/headroom/metrics"
)

// GrantAnnotation is what a pod is stamped with when it is admitted: connections
// by database, as JSON.
const GrantAnnotation = ourPrefix + "grant"

// EpochAnnotation is the leader's term that was last written on a gated pod.
const EpochAnnotation = ourPrefix + "epoch"

// ParseGrant reads the annotation's value: {"platform/orders-db": 5}. Its error
// says what was expected.
func ParseGrant(text string) (map[string]int, error) {
	var in map[string]*int
	if err := json.Unmarshal([]byte(text), &in); err != nil || in == nil {
		return nil, fmt.Errorf(`expected connections by database such as {"platform/orders-db": 5}, found %q`, shorten(text))
	}
	out := make(map[string]int, len(in))
	for name, connections := range in {
		if _, err := metrics.ParseID(name); err != nil {
			return nil, fmt.Errorf("as the name of a database: %w", err)
		}
		if connections == nil || *connections < 0 || *connections > math.MaxInt32 {
			return nil, fmt.Errorf("expected a number of connections of 0 or more for %s, found %q", name, shorten(text))
		}
		out[name] = *connections
	}
	return out, nil
}

func shorten(text string) string {
	if len(text) > 100 {
		return text[:100] + "…"
	}
	return text
}
