package policy

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/metrics"
)

// TestBacklogAgainstBigNumbers: no count of messages, however absurd, wraps around.
func TestBacklogAgainstBigNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.OneOf(rapid.Int64Range(-2, 100), rapid.Int64Range(1<<60, 1<<62), rapid.Int64Range(math.MaxInt64-3, math.MaxInt64))
		q := metrics.Queue{Visible: counts.Draw(t, "visible"), InFlight: counts.Draw(t, "in flight"), Delayed: counts.Draw(t, "delayed")}
		s := SQS{MessagesPerPod: rapid.OneOf(rapid.Int64Range(1, 50), rapid.Int64Range(1, 1_000_000_000_000)).Draw(t, "per pod"), IncludeDelayed: rapid.Bool().Draw(t, "include delayed")}
		sum := new(big.Int)
		for _, n := range []int64{q.Visible, q.InFlight, q.Delayed} {
			sum.Add(sum, big.NewInt(max(0, n)))
		}
		if !s.IncludeDelayed {
			sum.Sub(sum, big.NewInt(max(0, q.Delayed)))
		}
		want, rest := new(big.Int).DivMod(sum, big.NewInt(s.MessagesPerPod), new(big.Int))
		if rest.Sign() > 0 {
			want.Add(want, big.NewInt(1))
		}
		got := backlog(q, s)
		// Beyond a million replicas nobody counts.
		if most := big.NewInt(maxReplicas); want.Cmp(most) > 0 && got >= maxReplicas {
			return
		}
		if big.NewInt(int64(got)).Cmp(want) != 0 {
			t.Fatalf("%+v at %d per pod: %d, want %s", q, s.MessagesPerPod, got, want)
		}
	})
}
