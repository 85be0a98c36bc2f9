package columns_test

import (
	"testing"

	"github.com/keda-headroom/headroom/internal/columns"
)

func TestWrite(t *testing.T) {
	got := columns.Write([][]string{{"NAME", "N", "WHY"}, {"a", "100", "full"}, {"größer", "7", ""}}, false, true)
	want := "NAME      N  WHY\na       100  full\ngrößer    7\n"
	if got != want {
		t.Errorf("expected\n%s\nfound\n%s", want, got)
	}
	if got := columns.Write(nil); got != "" {
		t.Errorf("found %q", got)
	}
}
