// Package golden holds tests to files of what they have to find. `go test -update`
// of a package that uses it writes those files.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write files of what is expected from what is found")

// Updating reports whether files are to be written and not to be held to.
func Updating() bool { return *update }

// Compare fails the test where got is not what the file has, and says how it differs.
// With -update it writes the file first.
func Compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // part of the source
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // part of the source
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (- expected, + found; go test -update writes it):\n%s", path, diff)
	}
}
