package supportbundle

import (
	"archive/tar"
	"bytes"
	"os"
	"testing"

	"github.com/keda-headroom/headroom/scaler/recording"
)

// FuzzUnpack puts whatever a server may send into a directory: files of a recording, or
// an error.
func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"00000001-20260301T120000.000000000Z.rec", "../escaped", "/etc/escaped"} {
		var text bytes.Buffer
		archive := tar.NewWriter(&text)
		_ = archive.WriteHeader(&tar.Header{Name: name, Size: 3, Mode: 0o600})
		_, _ = archive.Write([]byte("abc"))
		_ = archive.Close()
		f.Add(text.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		_ = unpack(bytes.NewReader(text), dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !recording.IsSegment(e.Name()) || !e.Type().IsRegular() {
				t.Errorf("found %s", e.Name())
			}
		}
	})
}
