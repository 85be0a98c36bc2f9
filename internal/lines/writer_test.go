package lines_test

import (
	"slices"
	"testing"

	"github.com/keda-headroom/headroom/internal/lines"
)

func TestLinesArriveWhole(t *testing.T) {
	var got []string
	w := lines.Writer{Line: func(line []byte) { got = append(got, string(line)) }}
	for _, piece := range []string{"one\ntw", "", "o\n\nthree", "\nnever ended"} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("Write(%q) = %d, %v", piece, n, err)
		}
	}
	if want := []string{"one", "two", "", "three"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
}
