package redact

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// flushEvery is how many decisions are handed to a recorder at once.
const flushEvery = 200

// Recording writes a recording to another directory, which must be empty or missing,
// with every name replaced. Decisions are made again from what was replaced, so that
// it can be replayed as the original can. It returns how many decisions were written.
// Damaged parts are left out.
func (w *Words) Recording(from, to string, begin, end time.Time) (n int, err error) {
	reader, err := recording.OpenReader(from)
	if err != nil {
		return 0, err
	}
	if entries, err := os.ReadDir(to); err == nil && len(entries) > 0 {
		return 0, fmt.Errorf("expected a directory that is empty or missing, found %d files in %s", len(entries), to)
	}
	recorder, err := recording.Open(recording.Options{Dir: to, MaxBytes: math.MaxInt64 / 64, Queue: flushEvery + 1, SegmentBytes: recording.DefaultSegmentBytes})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, recorder.Close()) }()
	for record, err := range reader.Records(begin, end) {
		var damage *recording.DamageError
		if errors.As(err, &damage) {
			continue // the next segment is whole
		}
		if err != nil {
			return n, err
		}
		if record, err = w.record(record); err != nil {
			return n, err
		}
		plan, _ := policy.Decide(record.At, record.Group, record.Snapshot, record.Ledger)
		recorder.Record(record.At, record.Group, record.Snapshot, record.Ledger, plan)
		if n++; n%flushEvery == 0 {
			recorder.Flush()
		}
	}
	if stats := recorder.Stats(); stats.Problem != "" || stats.Dropped > 0 {
		return n, fmt.Errorf("%d decisions could not be written: %s", stats.Dropped, stats.Problem)
	}
	return n, nil
}

// recordFields are those of a record's JSON.
var recordFields = FieldsOf(reflect.TypeFor[recording.Record]())

// record replaces the names in one record.
func (w *Words) record(in recording.Record) (out recording.Record, err error) {
	w.prefixes = w.prefixes[:0]
	for _, workload := range in.Group.Workloads {
		for _, u := range workload.Databases {
			if u.ApplicationName != "" && !slices.Contains(w.prefixes, u.ApplicationName) {
				w.prefixes = append(w.prefixes, u.ApplicationName)
			}
		}
	}
	slices.SortFunc(w.prefixes, func(a, b string) int { return len(b) - len(a) })
	text, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	if text, err = w.JSON(text, recordFields); err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("redact a decision of %s: %w", in.At.Format(time.RFC3339), err)
	}
	// A group is in order of names, which are others now.
	slices.SortFunc(out.Group.Databases, func(a, b policy.Database) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(out.Group.Workloads, func(a, b policy.Workload) int { return a.ID.Compare(b.ID) })
	for _, workload := range out.Group.Workloads {
		slices.SortFunc(workload.Databases, func(a, b policy.Use) int { return a.Database.Compare(b.Database) })
	}
	return out, nil
}
