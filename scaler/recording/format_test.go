package recording_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// What earlier versions recorded is read as it was: testdata/format1, from before points,
// and format2, from before flows followed from readings, are five decisions of two
// workloads each, ten seconds apart; in format2 one has an objective.
func TestEarlierFormats(t *testing.T) {
	for name, want := range map[string]struct {
		program  string
		checksum uint32
		flow     bool
	}{
		"format1": {"0.9.0", 2339632473, false},
		"format2": {"0.9.1", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			all := records(t, copied(t, "testdata/"+name))
			if len(all) != 5 {
				t.Fatalf("%d records", len(all))
			}
			last := all[4]
			for _, id := range []string{"orders-workers-000", "orders-workers-001"} {
				if _, ok := last.Snapshot.Fleets[metrics.ID{Namespace: "shop", Name: id}].Last(); !ok {
					t.Errorf("nothing is known of %s", id)
				}
			}
			flow := last.Ledger.Workloads[metrics.ID{Namespace: "shop", Name: "orders-workers-001"}].Flow
			if last.Program != want.program || !last.At.Equal(start.Add(50*time.Second)) || want.checksum > 0 && last.Checksum != want.checksum ||
				(last.Snapshot.Points != nil) != want.flow || (len(flow.Came) > 0) != want.flow || !flow.At.IsZero() != want.flow {
				t.Errorf("the last is %+v", last)
			}
		})
	}
}

// Of what another version wrote by other rules for flows everything is read but what
// followed from them: the flows, from their first step on.
func TestFlowsOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	r := open(t, recording.Options{Dir: dir, Queue: 10_000, MaxBytes: 64 << 20})
	w := newWorld(1, "orders", 2)
	var decisions []made
	for range 20 {
		m := w.step(5 * time.Second)
		decisions = append(decisions, m)
		record(r, m)
	}
	r.Flush()
	files, err := filepath.Glob(filepath.Join(dir, "*.rec"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	length, n := binary.Uvarint(content)
	payload := content[n+4 : n+4+int(length)]
	ours, theirs := fmt.Appendf(nil, `"flows":"%d-`, policy.FlowVersion), fmt.Appendf(nil, `"flows":"%d-`, policy.FlowVersion+1)
	if !bytes.Contains(payload, ours) || len(ours) != len(theirs) {
		t.Fatalf("no %s in %.200s", ours, payload)
	}
	copy(payload, bytes.Replace(payload, ours, theirs, 1))
	binary.LittleEndian.PutUint32(content[n:], crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	foreign := filepath.Join(t.TempDir(), filepath.Base(files[0]))
	if err := os.WriteFile(foreign, content, 0o600); err != nil {
		t.Fatal(err)
	}
	all := records(t, filepath.Dir(foreign))
	if len(all) != len(decisions) {
		t.Fatalf("%d records of %d", len(all), len(decisions))
	}
	id := metrics.ID{Namespace: "shop", Name: "orders-workers-001"}
	lost := false
	for i, rec := range all {
		want, m := decisions[i].ledger.Workloads[id], rec.Ledger.Workloads[id]
		lost = lost || i > 0 && !want.Flow.At.Equal(decisions[i-1].ledger.Workloads[id].Flow.At) && !decisions[i-1].ledger.Workloads[id].Flow.At.IsZero()
		if lost {
			want.Flow = policy.Flow{}
		}
		if a, b := text(t, want), text(t, m); a != b {
			t.Fatalf("record %d (lost %t): expected\n%s\nfound\n%s", i, lost, a, b)
		}
		if text(t, decisions[i].snapshot) != text(t, rec.Snapshot) {
			t.Errorf("the snapshot of record %d is another", i)
		}
	}
	if !lost || !decisions[19].ledger.Workloads[id].Flow.At.After(start) {
		t.Error("no flow went on by a reading")
	}
}

// copied returns a directory with the recording in another.
func copied(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(from, "*.rec.zst"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(files[0])), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// records are all that a directory has.
func records(t *testing.T, dir string) []recording.Record {
	t.Helper()
	reader, err := recording.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []recording.Record
	for rec, err := range reader.Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec.Clone())
	}
	return all
}
