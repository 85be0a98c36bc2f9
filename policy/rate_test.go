package policy

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestPerPod(t *testing.T) {
	// Minutes in which work waited: what a pod got done, with how much in flight.
	waited := func(held float64, perPod ...float64) (out []Rate) {
		for i, v := range perPod {
			out = append(out, Rate{At: noon.Add(time.Duration(i-60) * time.Minute), PerPod: v, InFlight: held})
		}
		return out
	}
	for _, test := range []struct {
		name string
		flow Flow
		sqs  SQS
		want float64
		why  string
	}{
		{name: "the policy says it", flow: Flow{Rates: waited(5, 1, 1)}, sqs: SQS{SecondsPerMessage: 2, Concurrency: 5}, want: 2.5},
		{name: "nothing is known", why: "0 of 2 minutes"},
		{name: "one minute is none", flow: Flow{Rates: waited(5, 2)}, why: "1 of 2 minutes"},
		{name: "what is in flight tells", flow: Flow{Service: 2}, sqs: SQS{Concurrency: 5}, want: 2.5},
		{name: "of what is in flight little is known", flow: Flow{Service: 2, ServiceDoubt: 0.3}, sqs: SQS{Concurrency: 5}, why: "0 of 2 minutes"},
		{name: "the middle minute speaks", flow: Flow{Rates: waited(1, 2, 2.1, 1.9, 0.7, 2)}, want: 2},
		{name: "minutes that are too long ago", flow: Flow{Rates: []Rate{{At: noon.Add(-8 * 24 * time.Hour), PerPod: 2}, {At: noon.Add(-8 * 24 * time.Hour), PerPod: 2}}}, why: "0 of 2 minutes"},
		{name: "no rate at all", flow: Flow{Rates: waited(5, 0.1, 0.2, 3, 4, 5)}, sqs: SQS{Concurrency: 5}, why: "not the same from minute to minute"},
		{name: "a low one is not kept for ever", flow: Flow{Rates: waited(5, 1.5, 1.6), Service: 2}, sqs: SQS{Concurrency: 5}, want: 2.5},
		{name: "a minute that shows more wins", flow: Flow{Rates: waited(10, 2.5, 2.5), Service: 4}, sqs: SQS{Concurrency: 5}, want: 2.5},
		{name: "pods that don't do as many at once as is said", flow: Flow{Rates: waited(3, 1.5, 1.5), Service: 2}, sqs: SQS{Concurrency: 5}, want: 1.5},
		{name: "how many at once is not said", flow: Flow{Rates: waited(5, 1.5, 1.6), Service: 2}, want: 1.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, why := test.flow.perPod(noon, test.sqs)
			if math.Abs(got-test.want) > 1e-9 || !strings.Contains(why, test.why) || (why == "") != (test.why == "") {
				t.Errorf("%v messages/s (%q), want %v (%q)", got, why, test.want, test.why)
			}
		})
	}
}
