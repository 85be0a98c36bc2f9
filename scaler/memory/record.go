package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// version is the only one of the format that is read.
const version = 1

// maxSize is how large a record may be, in bytes.
const maxSize = 96 << 10

// Bounds of what is believed.
const (
	maxConnections = 1 << 20
	maxPeakValues  = 40
)

// Installation is one Headroom: where it runs.
type Installation struct {
	// Cluster is the UID of the namespace kube-system, Namespace Headroom's own.
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
}

// String names it to a person.
func (i Installation) String() string {
	return fmt.Sprintf("the installation in namespace %s of cluster %s", i.Namespace, i.Cluster)
}

// record is what is remembered of one database, as it is written down.
type record struct {
	Version      int          `json:"version"`
	Database     metrics.ID   `json:"database"`
	Installation Installation `json:"installation"`
	Written      time.Time    `json:"written"`

	Server string           `json:"server,omitempty"`
	Last   metrics.Database `json:"last,omitzero"` // without sessions
	// Others is others' recent past, by constraint.
	Others    map[string]policy.Peak  `json:"others,omitempty"`
	Workloads map[metrics.ID]workload `json:"workloads,omitempty"`
	Policies  []keptPolicy            `json:"policies,omitempty"`

	queues queues // written beside it
}

// workload is what is remembered of a workload on the database.
type workload struct {
	PerPod policy.Peak `json:"perPod,omitzero"`
	Told   policy.Peak `json:"told,omitzero"`
}

// keptPolicy is the last good version of an input.
type keptPolicy struct {
	Origin    string    `json:"origin"`
	Key       string    `json:"key"`
	Where     string    `json:"where"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	Content   string    `json:"content"`
}

// parse reads what encode wrote. What it does not expect is an error.
func parse(data []byte) (record, error) {
	var r record
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decode(decoder, len(data), maxSize, &r); err != nil {
		return record{}, err
	}
	if r.Version != version {
		return record{}, fmt.Errorf("expected version %d, found %d", version, r.Version)
	}
	if r.Database.Namespace == "" || r.Database.Name == "" {
		return record{}, errors.New("expected a database, found none")
	}
	return r, r.check()
}

// decode reads the one JSON object that there is in size bytes, at most most.
func decode(decoder *json.Decoder, size, most int, into any) error {
	if size > most {
		return fmt.Errorf("expected at most %d bytes, found %d", most, size)
	}
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("expected one JSON object, found something after it")
	}
	return nil
}

// check says what no Headroom can have written.
func (r record) check() error {
	for name, p := range r.Others {
		if err := checkPeak(p); err != nil {
			return fmt.Errorf("others on %s: %w", name, err)
		}
	}
	for id, w := range r.Workloads {
		for _, p := range []policy.Peak{w.PerPod, w.Told} {
			if err := checkPeak(p); err != nil {
				return fmt.Errorf("workload %s: %w", id, err)
			}
		}
	}
	for _, c := range r.Last.Constraints {
		if c.Limit < 0 || c.Limit > maxConnections {
			return fmt.Errorf("limit %s: expected 0 to %d connections, found %d", c.Name, maxConnections, c.Limit)
		}
	}
	if r.Last.Full || r.Last.ReadOnly {
		return errors.New("expected the last good reading of the server, found one of a server that was full or in recovery")
	}
	for _, p := range r.Policies {
		if p.Origin == "" || p.Key == "" || p.Where == "" {
			return errors.New("expected origin, key and where of each policy")
		}
	}
	return nil
}

func checkPeak(p policy.Peak) error {
	if len(p.Values) > maxPeakValues {
		return fmt.Errorf("expected at most %d values, found %d", maxPeakValues, len(p.Values))
	}
	for i, v := range p.Values {
		if v.Value < 0 || v.Value > maxConnections {
			return fmt.Errorf("expected values of 0 to %d, found %d", maxConnections, v.Value)
		}
		if i > 0 && (v.Value >= p.Values[i-1].Value || !v.At.After(p.Values[i-1].At)) {
			return errors.New("expected values that fall in size and rise in time")
		}
	}
	return nil
}
