package replaytest

import (
	"testing"

	"github.com/keda-headroom/headroom/internal/replay"
)

// Run replays a recording, which must not fail.
func Run(t *testing.T, o replay.Options) replay.Report {
	t.Helper()
	r, err := replay.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
