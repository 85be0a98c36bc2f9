package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/policies"
)

// encode writes a record down, in at most maxSize bytes: what is too large is
// written with coarser peaks, then without policies, then without workloads. left
// says what had to be left out, "" where nothing was.
func encode(r record) (data []byte, left string, err error) {
	coarse := r
	coarse.Others, coarse.Workloads = map[string]policy.Peak{}, nil
	for name, p := range r.Others {
		coarse.Others[name] = coarsen(p)
	}
	for id, w := range r.Workloads {
		if coarse.Workloads == nil {
			coarse.Workloads = map[metrics.ID]workload{}
		}
		coarse.Workloads[id] = workload{PerPod: coarsen(w.PerPod), Told: coarsen(w.Told)}
	}
	bare := coarse
	bare.Policies = nil
	barest := bare
	barest.Workloads = nil
	for _, try := range []struct {
		record
		left string
	}{
		{r, ""}, {coarse, ""},
		{bare, "its policies, of which no last good version outlives a restart"},
		{barest, "its policies and what its workloads' pods were seen to hold"},
	} {
		if data, err = json.Marshal(try.record); err != nil {
			return nil, "", err
		}
		if len(data) <= maxSize {
			return data, try.left, nil
		}
	}
	return nil, "", fmt.Errorf("expected at most %d bytes, found %d", maxSize, len(data))
}

// coarsen makes one value of a peak: its largest, seen last when any was. It
// claims more than was seen, never less.
func coarsen(p policy.Peak) policy.Peak {
	if n := len(p.Values); n > 1 {
		p.Values = []policy.PeakValue{{At: p.Values[n-1].At, Value: p.Values[0].Value}}
	}
	return p
}

// keep is a policy as it is written down: without comments, which nobody reads
// here and where anything may stand.
func keep(k policies.Kept) (keptPolicy, error) {
	content, err := uncommented(k.Content)
	if err != nil {
		return keptPolicy{}, err
	}
	return keptPolicy{
		Origin: k.Origin, Key: k.Key, Where: k.Source.Where,
		Namespace: k.Source.Namespace, Name: k.Source.Name, CreatedAt: k.Source.CreatedAt, Content: content,
	}, nil
}

func (k keptPolicy) kept() policies.Kept {
	return policies.Kept{Origin: k.Origin, Key: k.Key, Content: []byte(k.Content), Source: policy.Source{
		Namespace: k.Namespace, Name: k.Name, CreatedAt: k.CreatedAt, Where: k.Where,
	}}
}

// uncommented returns YAML documents without their comments.
func uncommented(content []byte) (string, error) {
	var out bytes.Buffer
	decoder, encoder := yaml.NewDecoder(bytes.NewReader(content)), yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		uncomment(&document)
		if err := encoder.Encode(&document); err != nil {
			return "", err
		}
	}
	return out.String(), encoder.Close()
}

func uncomment(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, child := range n.Content {
		uncomment(child)
	}
}
