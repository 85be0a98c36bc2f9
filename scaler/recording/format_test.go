package recording_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/recording"
)

// What a version before points recorded is read as it was: testdata/format1 is five
// decisions of two workloads, ten seconds apart.
func TestTheFormatBeforePoints(t *testing.T) {
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/format1/*.rec.zst")
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
	reader, err := recording.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var last recording.Record
	n := 0
	for rec, err := range reader.Records(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		last = rec.Clone()
		n++
	}
	for _, id := range []string{"orders-workers-000", "orders-workers-001"} {
		if _, ok := last.Snapshot.Fleets[metrics.ID{Namespace: "shop", Name: id}].Last(); !ok {
			t.Errorf("nothing is known of %s", id)
		}
	}
	if n != 5 || last.Program != "0.9.0" || !last.At.Equal(start.Add(50*time.Second)) || last.Checksum != 2339632473 || last.Snapshot.Points != nil {
		t.Errorf("%d records; the last is %+v", n, last)
	}
}
