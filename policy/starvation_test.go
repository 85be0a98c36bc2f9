package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNobodyStarves: while slots turn over, everybody with demand gets a pod, if
// only a first one of each fits beside all minimums; whoever came first, however
// urgent the others are, and however many pods each could use.
func TestNobodyStarves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var documents strings.Builder
		documents.WriteString(`
apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases:
- {name: db, postgresql: {dsn: {env: DSN}}, reserve: 2, othersWindow: 5s, pollInterval: 1s}
workloads:
`)
		others := between(rt, 0, 5, "others")
		needed := 0
		n := between(rt, 1, 5, "fleets")
		for i := range n {
			least, perPod := between(rt, 0, 2, "min"), between(rt, 1, 4, "perPod")
			fmt.Fprintf(&documents, `- {name: fleet-%d, mode: %s, priority: %d, minReplicas: %d, scaleDownStabilization: %ds, sqs: {queueName: q, messagesPerPod: 1},
   databaseRefs: [{name: db, user: fleet-%d, connectionsPerPod: %d}]}
`, i, rapid.SampledFrom([]Mode{Gate, Target}).Draw(rt, "mode"), between(rt, 0, 2, "priority"), least, between(rt, 0, 5, "stabilization"), i, perPod)
			needed += max(1, least) * perPod
		}
		c := newCluster(t, 2+others+needed+between(rt, 0, 10, "beyond what is needed"), others, documents.String())
		for _, f := range c.fleets {
			f.spec = between(rt, 0, 2, "spec")
			// Pods come to an end by themselves, or only where they must. Without the
			// gate their replacements come beside them, at any time.
			if f.Mode == Gate {
				f.lives = time.Duration(rapid.SampledFrom([]int{0, 20}).Draw(rt, "lives")) * time.Second
			}
		}
		c.pass(10)
		for _, i := range rapid.Permutation(c.fleets).Draw(rt, "order of bursts") {
			i.messages = int64(between(rt, 1, 1000, "burst"))
			c.pass(between(rt, 0, 10, "pause"))
		}
		ran := make([]int, n)
		for range 60 {
			c.pass(1)
			for i, f := range c.fleets {
				if f.running() > 0 {
					ran[i]++
				}
			}
		}
		for i, f := range c.fleets {
			if ran[i] < 15 { // pods end and start all the time
				for j, f := range c.fleets {
					rt.Logf("%sspec %d, %d messages, lives %s, %d run", Describe(c.plan.Workloads[j]), f.spec, f.messages, f.lives, f.running())
					for _, p := range f.pods {
						rt.Logf("%+v", p)
					}
				}
				rt.Fatalf("%s ran for %d of 60 seconds:\n%s%s", f.ID, ran[i], Describe(c.plan.Workloads[i]), documents.String())
			}
		}
	})
}
