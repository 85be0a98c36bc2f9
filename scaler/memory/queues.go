package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

// queues is what was learned of the queues of a database's workloads.
type queues map[metrics.ID]policy.Flow

// maxQueuesSize is how large that may be, in bytes.
const maxQueuesSize = 128 << 10

// keptQueues is that as it is written down.
type keptQueues struct {
	Version   int    `json:"version"`
	Workloads queues `json:"workloads"`
}

// queuesOf is what a decision says that should be remembered of the queues of a
// database's workloads: of those that have an objective.
func queuesOf(d scaler.Decision, database metrics.ID) queues {
	out := queues{}
	for _, w := range d.Group.Workloads {
		if w.SQS == nil || w.SQS.MaxMessageAge == 0 || !slices.ContainsFunc(w.Databases, func(u policy.Use) bool { return u.Database == database }) {
			continue
		}
		out[w.ID] = d.Ledger.Workloads[w.ID].Flow.Kept()
	}
	return out
}

// encodeQueues writes them down in at most maxQueuesSize bytes, nothing where there
// are none: what is too large is written without what came, then not at all. left says
// what had to be left out, "" where nothing was.
func encodeQueues(q queues) (data []byte, left string, err error) {
	if len(q) == 0 {
		return nil, "", nil
	}
	if data, err = json.Marshal(keptQueues{version, q}); err != nil {
		return nil, "", fmt.Errorf("what was learned of queues: %w", err)
	}
	if len(data) <= maxQueuesSize {
		return data, "", nil
	}
	learned := queues{}
	for id, f := range q {
		learned[id] = f.Learned()
	}
	if data, err = json.Marshal(keptQueues{version, learned}); err != nil {
		return nil, "", fmt.Errorf("what was learned of queues: %w", err)
	}
	if len(data) <= maxQueuesSize {
		return data, "when messages came to its queues", nil
	}
	return nil, "what was learned of its queues", nil
}

// readQueues reads what an object holds of queues, nothing where it holds nothing. A
// field that is not known says something that this version doesn't need.
func readQueues(m *corev1.ConfigMap) (queues, error) {
	text, ok := m.Data[queuesKey]
	if !ok {
		return nil, nil
	}
	q, err := parseQueues([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", queuesKey, err)
	}
	return q, nil
}

func parseQueues(data []byte) (queues, error) {
	var kept keptQueues
	if err := decode(json.NewDecoder(bytes.NewReader(data)), len(data), maxQueuesSize, &kept); err != nil {
		return nil, err
	}
	if kept.Version != version {
		return nil, fmt.Errorf("expected version %d, found %d", version, kept.Version)
	}
	for id, f := range kept.Workloads {
		if err := errors.Join(f.Check(), checkPeak(f.Groups)); err != nil {
			return nil, fmt.Errorf("workload %s: %w", id, err)
		}
	}
	return kept.Workloads, nil
}
