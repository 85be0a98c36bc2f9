package simulation

import (
	"testing"

	"github.com/keda-headroom/headroom/policy"
)

func TestClosedLoop(t *testing.T) {
	for _, mode := range []policy.Mode{policy.Gate, policy.Target, ""} {
		bad := 0
		var total Report
		for seed := uint64(1); seed <= 3400; seed++ {
			r := Run(Draw(seed, mode))
			total.Admissions += r.Admissions
			total.Raises += r.Raises
			if len(r.Violations) > 0 {
				bad++
				if bad < 6 {
					t.Errorf("mode %q seed %d: %s", mode, seed, r.Violations[0])
				}
			}
		}
		t.Logf("mode %q: %d bad; %d admissions, %d raises", mode, bad, total.Admissions, total.Raises)
	}
}
