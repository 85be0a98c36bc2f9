package fleet

import (
	"fmt"
	"testing"

	"github.com/keda-headroom/headroom/metrics"
)

// BenchmarkParse reads 100 workloads of 100 pods.
func BenchmarkParse(b *testing.B) {
	fleets := make(map[metrics.ID]metrics.Fleet)
	for w := range 100 {
		fleet := metrics.Fleet{SpecReplicas: 100, StatusReplicas: 100}
		for p := range 100 {
			fleet.Pods = append(fleet.Pods, metrics.Pod{
				UID: fmt.Sprintf("uid-%d-%d", w, p), Name: fmt.Sprintf("pod-%d", p), Address: fmt.Sprintf("10.0.%d.%d", w, p),
				CreatedAt: noon, Ready: true, Grant: map[string]int{"platform/orders-db": 5},
			})
		}
		fleets[metrics.ID{Namespace: "shop", Name: fmt.Sprintf("workers-%d", w)}] = fleet
	}
	text, err := Format(fleets)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
