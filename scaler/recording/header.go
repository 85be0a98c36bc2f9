package recording

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording/delta"
)

// format is the version of the frames; earlier ones are read too. Fields come and go
// without a new one. extendedFormat is the first whose records have points and the term,
// steppedFormat the first in which flows follow from readings.
const (
	format         = 3
	extendedFormat = 2
	steppedFormat  = 3
)

// header is the first frame of a segment.
type header struct {
	Format  int          `json:"format"`
	Program string       `json:"program,omitempty"`
	Schema  delta.Schema `json:"schema"`
	Types   types        `json:"types"`
	// Flows are the rules by which flows follow from readings.
	Flows string `json:"flows,omitempty"`
}

// types are how the schema calls the parts of a record.
type types struct {
	Group          string `json:"group"`
	Database       string `json:"database"`
	Queue          string `json:"queue"`
	Fleet          string `json:"fleet"`
	DatabaseMemory string `json:"databaseMemory"`
	WorkloadMemory string `json:"workloadMemory"`
	Outcome        string `json:"outcome"`
	Points         string `json:"points,omitempty"`
	Flow           string `json:"flow,omitempty"`
}

// newHeader describes the types of this program.
func newHeader(program string) (header, error) {
	h := header{Format: format, Program: program, Flows: rules()}
	for _, part := range []struct {
		name *string
		t    reflect.Type
	}{
		{&h.Types.Group, reflect.TypeFor[policy.Group]()},
		{&h.Types.Database, reflect.TypeFor[reading[metrics.Database]]()},
		{&h.Types.Queue, reflect.TypeFor[reading[metrics.Queue]]()},
		{&h.Types.Fleet, reflect.TypeFor[reading[metrics.Fleet]]()},
		{&h.Types.DatabaseMemory, reflect.TypeFor[policy.DatabaseMemory]()},
		{&h.Types.WorkloadMemory, reflect.TypeFor[policy.WorkloadMemory]()},
		{&h.Types.Outcome, reflect.TypeFor[Outcome]()},
		{&h.Types.Points, reflect.TypeFor[reading[published]]()},
		{&h.Types.Flow, reflect.TypeFor[policy.Flow]()},
	} {
		name, err := h.Schema.Add(part.t)
		if err != nil {
			return header{}, err
		}
		*part.name = name
	}
	return h, nil
}

func parseHeader(payload []byte) (header, error) {
	var h header
	if err := json.Unmarshal(payload, &h); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	if h.Format < 1 || h.Format > format {
		return header{}, fmt.Errorf("expected a recording of format %d or an earlier one, found format %d, written by headroom %s", format, h.Format, h.Program)
	}
	return h, nil
}

// codecs are for the parts of a record, by one schema.
type codecs struct {
	group     delta.Codec[policy.Group]
	databases delta.Codec[reading[metrics.Database]]
	queues    delta.Codec[reading[metrics.Queue]]
	fleets    delta.Codec[reading[metrics.Fleet]]
	rDatabase delta.Codec[policy.DatabaseMemory]
	rWorkload delta.Codec[policy.WorkloadMemory]
	outcomes  delta.Codec[Outcome]
	points    delta.Codec[reading[published]]
	flows     delta.Codec[policy.Flow]
	extended  bool
	stepped   bool
	foreign   bool // flows follow by other rules than this version's
}

func (h header) codecs() (c codecs, err error) {
	compile := []func() error{
		into(&c.group, h.Schema, h.Types.Group),
		into(&c.databases, h.Schema, h.Types.Database),
		into(&c.queues, h.Schema, h.Types.Queue),
		into(&c.fleets, h.Schema, h.Types.Fleet),
		into(&c.rDatabase, h.Schema, h.Types.DatabaseMemory),
		into(&c.rWorkload, h.Schema, h.Types.WorkloadMemory),
		into(&c.outcomes, h.Schema, h.Types.Outcome),
	}
	if c.extended = h.Format >= extendedFormat; c.extended {
		compile = append(compile, into(&c.points, h.Schema, h.Types.Points))
	}
	if c.stepped = h.Format >= steppedFormat; c.stepped {
		compile = append(compile, into(&c.flows, h.Schema, h.Types.Flow))
		c.foreign = h.Flows != rules()
	}
	for _, part := range compile {
		if err := part(); err != nil {
			return codecs{}, err
		}
	}
	return c, nil
}

func into[T any](codec *delta.Codec[T], schema delta.Schema, text string) func() error {
	return func() (err error) {
		*codec, err = delta.Compile[T](schema, text)
		return err
	}
}
