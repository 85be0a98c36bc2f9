package policy

import (
	"encoding/json"
	"hash/crc32"
	"runtime"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// TestFlowVersion: recordings hold readings and not the flows that follow from them. Who
// changes what follows has to raise FlowVersion, and to write the new sum here.
func TestFlowVersion(t *testing.T) {
	const version, sum = 1, 511261615
	got := uint32(0)
	for n, s := range []SQS{{}, {SecondsPerMessage: 0.5}, {Concurrency: 4}} {
		var flow Flow
		var points metrics.Points
		q, sent, deleted := metrics.Queue{FIFO: n == 2}, 0.0, 0.0
		for i := range 900 {
			at := noon.Add(time.Duration(i*5)*time.Second + time.Duration(i*i%97)*time.Millisecond)
			came, done := int64([]int{12, 0, 90, 31}[i/150%4]+i*i%7), int64(i%5*14)
			if done > q.Visible+came {
				done = q.Visible + came
			}
			q.Visible += came - done
			q.InFlight, q.Delayed = min(q.Visible, done/3+int64(i%3)), int64(i/300%2*4)
			sent, deleted = sent+float64(came), deleted+float64(done)
			if i%12 == 11 {
				came, done, oldest := sent, deleted, float64(q.Visible/9+int64(i/200%2*500)) // some of it poison
				points.Minutes = append(points.Minutes, metrics.Minute{Start: at.Truncate(time.Minute), Sent: &came, Deleted: &done, OldestAge: &oldest})
				sent, deleted = 0, 0
			}
			published := metrics.Points{Minutes: points.Minutes[:max(0, len(points.Minutes)-4)]}
			switch {
			case i >= 400 && i < 415: // nobody looks
				continue
			case i == 415:
				flow = flow.Kept().Resume(at)
			}
			flow = flow.Next(q, at, i/20%9, published, s)
			if i%50 == 49 {
				text, err := json.Marshal(flow)
				if err != nil {
					t.Fatal(err)
				}
				got = crc32.Update(got, crc32.IEEETable, text)
			}
		}
		if flow.Service == 0 || len(flow.Rates) == 0 || len(flow.Came) == 0 {
			t.Errorf("nothing was learned: %+v", flow)
		}
	}
	if runtime.GOARCH != "amd64" {
		return // others round otherwise, which recordings know
	}
	if FlowVersion != version || got != sum {
		t.Errorf("flows come to %d by version %d, and came to %d by version %d", got, FlowVersion, sum, version)
	}
}

// TestAClockThatWasSetBack: a reading that seems to be from before the last one is passed
// over while it is one of two that took turns, and begins the flow anew where the clock
// was set; what was learned stays.
func TestAClockThatWasSetBack(t *testing.T) {
	var flow Flow
	read := func(at time.Time) { flow = flow.Next(metrics.Queue{Visible: 5}, at, 1, metrics.Points{}, SQS{}) }
	for i := range 20 {
		read(noon.Add(time.Duration(i) * 5 * time.Second))
	}
	flow.Service = 2
	last, intervals := flow.At, len(flow.Came)
	if read(last.Add(-time.Second)); !flow.At.Equal(last) || len(flow.Came) != intervals {
		t.Errorf("a second before: at %s with %d intervals, expected %s with %d", flow.At, len(flow.Came), last, intervals)
	}
	if read(last.Add(-time.Hour)); !flow.At.Equal(last.Add(-time.Hour)) || len(flow.Came) != 0 || flow.Service != 2 {
		t.Errorf("an hour before: at %s with %d intervals, a message in flight for %v s", flow.At, len(flow.Came), flow.Service)
	}
	if read(last.Add(-time.Hour + 5*time.Second)); len(flow.Came) == 0 || flow.Came[0].Seconds != 5 {
		t.Errorf("nothing came after that: %+v", flow.Came)
	}
}
