package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// Rate is what ready pods got done in a minute in which work waited for them all
// the time: the true processing rate, which idle time does not dilute
// (Kalavri et al., "Three steps is all you need", OSDI 2018).
type Rate struct {
	At time.Time `json:"at"`
	// PerPod is messages that one ready pod finishes in a second.
	PerPod float64 `json:"perPod"`
	// InFlight is how many messages were in flight for each ready pod.
	InFlight float64 `json:"inFlight"`
}

const (
	ratesKept = 15
	// ratesNeeded is of how many minutes a rate is believed.
	ratesNeeded = 2
	// rateSpread is how many times as large the third quartile may be as the first:
	// beyond that, pods don't work at a rate.
	rateSpread = 4
	// rateDoubt is the largest variance, as a share of the square, of a time in flight
	// that a rate is made of.
	rateDoubt = 0.2 * 0.2
	// ratesKeptFor is how long a rate is believed without another.
	ratesKeptFor = 7 * 24 * time.Hour
)

// learnRate takes a minute in, if work waited in all of it and pods were ready.
// Pods that became ready in it don't count before they are seen twice.
func (f *Flow) learnRate(m FlowMinute, done float64) {
	if m.Waiting < 1 || m.Pods < 1 || done < 1 {
		return
	}
	perPod := done / m.Pods * (m.Covered / flowMinute.Seconds())
	f.Rates = append(slices.Clip(f.Rates), Rate{At: m.Start, PerPod: perPod, InFlight: m.Flight / m.Pods})
	if n := len(f.Rates); n > ratesKept {
		f.Rates = slices.Clone(f.Rates[n-ratesKept:])
	}
}

// perPod is how many messages one pod finishes in a second, or why that can't be
// told. It is the median of the minutes in which work waited, which the odd one out does
// not move. While pods keep up there is no such minute, and a rate that is taken for too
// low brings so many pods that there never is one again: so what follows from how long a
// message is in flight counts beside it, for pods that work on as many at once as the
// policy says, or as they were seen to where that is fewer. The larger wins: that a rate
// is taken for too high shows soon, in work that waits.
func (f *Flow) perPod(now time.Time, s SQS) (rate float64, why string) {
	if s.SecondsPerMessage > 0 {
		return float64(max(1, s.Concurrency)) / s.SecondsPerMessage, ""
	}
	var few, fewHeld [ratesKept]float64
	rates, held := few[:0], fewHeld[:0]
	for _, r := range f.Rates {
		if now.Sub(r.At) < ratesKeptFor {
			rates, held = append(rates, r.PerPod), append(held, r.InFlight)
		}
	}
	slices.Sort(rates)
	n := len(rates)
	flowing := f.Service > 0 && f.ServiceDoubt < rateDoubt
	atOnce := float64(max(1, s.Concurrency))
	if n < ratesNeeded && flowing {
		return atOnce / f.Service, ""
	}
	if n < ratesNeeded {
		return 0, fmt.Sprintf("what a pod gets done is not measured yet: %d of %d minutes in which work waited for pods", n, ratesNeeded)
	}
	low, high := rates[n/4], rates[n-1-n/4]
	if high > rateSpread*low {
		return 0, fmt.Sprintf("what a pod gets done is not the same from minute to minute: from %s to %s messages/s", short(low), short(high))
	}
	rate = median(rates)
	if flowing && s.Concurrency > 0 {
		rate = max(rate, min(atOnce, median(held))/f.Service)
	}
	return rate, ""
}

// held is how many messages a busy pod has in flight: as many as it works on at
// once, and those that it fetched to work on next. At least 1.
func (f *Flow) held(s SQS) float64 {
	if s.Concurrency > 0 {
		return float64(s.Concurrency)
	}
	var held []float64
	for _, r := range f.Rates {
		held = append(held, r.InFlight)
	}
	return max(1, median(held))
}

// groupsWindow is for how long the most message groups that were in flight at once
// bound how many pods a FIFO queue can employ.
const groupsWindow = 15 * time.Minute

// learnGroups notes how many groups were in flight in a minute, and whether
// consumers found none while messages waited.
func (f *Flow) learnGroups(m FlowMinute, p *metrics.Minute, fifo bool, concurrency int) {
	groups := finite(p.Groups)
	if !fifo || groups == nil {
		return
	}
	f.Groups = f.Groups.Add(m.Start, int(min(*groups, maxReplicas)), groupsWindow)
	consumers := m.Pods / m.Covered * float64(max(1, concurrency))
	if m.Waiting >= 1 && *groups+0.5 < consumers {
		f.GroupsShort = m.Start
	}
}

// parallel is how many consumers a FIFO queue can employ, one more than it was seen
// to; false where nothing says that there are fewer groups than consumers.
func (f *Flow) parallel(now time.Time, fifo bool) (int, bool) {
	if !fifo || f.GroupsShort.IsZero() || now.Sub(f.GroupsShort) > groupsWindow {
		return 0, false
	}
	most, ok := f.Groups.Max(now, groupsWindow)
	return max(1, most) + 1, ok
}

const (
	startupsKept = 7
	// startupUnknown is how long a pod is taken to need before one was watched.
	startupUnknown = 30 * time.Second
	startupMost    = 10 * time.Minute
)

// startup is how long a pod takes from being created, or let through the gate,
// until it is ready: longer than most of those that were watched.
func (f *Flow) startup() time.Duration {
	if len(f.Startups) == 0 {
		return startupUnknown
	}
	var few [startupsKept]float64
	sorted := append(few[:0], f.Startups...)
	slices.Sort(sorted)
	return time.Duration(sorted[(len(sorted)*3)/4] * float64(time.Second))
}

// started returns the startups with those of pods that became ready since the
// decision before.
func (f *fleet) started(now time.Time, kept []float64) []float64 {
	kept = slices.Clone(kept)
	for _, p := range f.pods {
		before, known := f.memory.Pods[p.UID]
		if !p.Ready || !known || !before.ReadySeen.IsZero() {
			continue
		}
		from := p.CreatedAt
		if p.Grant != nil && before.PassedSeen.After(from) {
			from = before.PassedSeen // it waited at the gate until then
		}
		if took := now.Sub(from); took > 0 && !from.IsZero() {
			kept = append(kept, min(took, startupMost).Round(100*time.Millisecond).Seconds())
		}
	}
	return kept[max(0, len(kept)-startupsKept):]
}

// short writes a number for a person, in three digits.
func short(v float64) string { return fmt.Sprintf("%.3g", v) }
