package forecast_test

import (
	"os"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/internal/forecast"
	"github.com/keda-headroom/headroom/policy"
)

func trace(tb testing.TB, name string) arrivals.Trace {
	tb.Helper()
	data, err := os.ReadFile("../arrivals/testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := arrivals.Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// fortnight is two weeks of a load balancer's requests.
func fortnight(tb testing.TB) forecast.World {
	w := burst()
	w.Arrivals, w.Scale = trace(tb, "elb_request_count.csv"), 10
	w.Service = forecast.Service{Kind: forecast.Exponential, Mean: 4 * time.Second}
	w.Objective = 2 * time.Minute
	return w
}

// How many times faster than real time two weeks of traffic are played.
func BenchmarkFortnight(b *testing.B) {
	for name, c := range contenders() {
		b.Run(name, func(b *testing.B) {
			w := fortnight(b)
			if name == "headroom-target" {
				c.Headroom = shopPolicy(policy.Target)
				c.Headroom.Databases[0].OthersWindow = 30 * time.Minute
			}
			b.ReportAllocs()
			simulated := 0.0
			for b.Loop() {
				o, err := forecast.Run(b.Context(), w, c)
				if err != nil {
					b.Fatal(err)
				}
				simulated += o.SimulatedSeconds
			}
			b.ReportMetric(simulated/b.Elapsed().Seconds(), "x-real-time")
		})
	}
}
