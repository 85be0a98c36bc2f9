package policy

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// learn corrects the flow by what CloudWatch published of its minutes; perMessage is for
// how many seconds the policy says that a pod works on a message, 0 where it says nothing.
func (f *Flow) learn(points metrics.Points, fifo bool, concurrency int, perMessage float64) {
	guessed, told := f.Service == 0 && perMessage == 0, time.Time{}
	ages := f.ages() // none of what follows changes them, but for the last
	for i := range f.Minutes {
		m := &f.Minutes[i]
		p := minuteOf(points, m.Start)
		if p == nil || m.Covered+m.Unwatched < 0.9*flowMinute.Seconds() {
			continue
		}
		came, done, known := inMinute(p, f.leftAfter(i)-m.Left)
		if !known {
			continue
		}
		f.correct(ages, m.Start, came)
		told = m.Start.Add(flowMinute)
		if m.Used || m.Unwatched > 0 {
			continue
		}
		m.Used = true
		f.learnService(*m, done)
		f.learnRate(*m, done)
		f.learnGroups(*m, p, fifo, concurrency)
	}
	if guessed && f.Service > 0 {
		f.guessAgain(ages, told)
	}
	f.anchor(points)
}

// guessAgain renews what came since told, up to when CloudWatch has told, now that it is
// known how long a message is in flight: that had been guessed.
func (f *Flow) guessAgain(ages []float64, told time.Time) {
	for i, m := range f.Minutes {
		if m.Start.Before(told) || m.Unwatched > 0 {
			continue
		}
		f.correct(ages, m.Start, max(0, f.leftAfter(i)-m.Left+m.Flight/f.Service))
	}
	since := f.At.Sub(told).Seconds()
	for i, age := range ages[:len(f.Came)] {
		if c := &f.Came[i]; age+c.Seconds/2 < since && c.Unsure > 0 {
			c.Seen = c.Messages
		}
	}
}

// leftAfter is how many messages there were when the i-th minute ended, or are.
func (f *Flow) leftAfter(i int) float64 {
	if i+1 < len(f.Minutes) {
		return f.Minutes[i+1].Left
	}
	return depth(f.Queue)
}

// inMinute is how many messages came and were done in a minute in which the depth
// grew by grown. Deleting a message twice counts twice: what came and did not stay
// tells more, and of both the smaller speaks. What a dead-letter queue is given comes
// without being sent, so that the depth may grow by more than what was sent.
func inMinute(p *metrics.Minute, grown float64) (came, done float64, known bool) {
	deleted, sent := finite(p.Deleted), finite(p.Sent)
	switch {
	case sent != nil && *sent >= grown-1-grown/20 && deleted != nil:
		return *sent, max(0, min(*deleted, *sent-grown)), true
	case sent != nil && *sent >= grown-1-grown/20:
		return *sent, max(0, *sent-grown), true
	case deleted != nil:
		return max(0, grown+*deleted), *deleted, true
	}
	return 0, 0, false
}

// finite is a value that can be reckoned with, nil where there is none.
func finite(v *float64) *float64 {
	if v == nil || math.IsNaN(*v) || *v < 0 || *v > flowMost {
		return nil
	}
	return v
}

// minuteOf finds what was published of a minute, nil where nothing was. Points are in
// order.
func minuteOf(points metrics.Points, start time.Time) *metrics.Minute {
	n := len(points.Minutes)
	if n == 0 {
		return nil
	}
	before := points.Minutes[n-1].Start.Sub(start)
	if before < 0 {
		return nil
	}
	// Mostly none is missing.
	if i := n - 1 - int(before/flowMinute); i >= 0 && points.Minutes[i].Start.Equal(start) {
		return &points.Minutes[i]
	}
	i, ok := slices.BinarySearchFunc(points.Minutes, start, func(m metrics.Minute, t time.Time) int { return m.Start.Compare(t) })
	if !ok {
		return nil
	}
	return &points.Minutes[i]
}

// correct makes what came in the minute from start sum up to total; ages are those of
// what came. What the depth showed stays: it is what was done beside it that had been
// guessed.
func (f *Flow) correct(ages []float64, start time.Time, total float64) {
	// An interval lies in the minute that its middle lies in: from the first that came
	// after start, to the first that came at the end or later.
	after, end := f.At.Sub(start).Seconds(), f.At.Sub(start.Add(flowMinute)).Seconds()
	middle := func(i int) float64 { return ages[i] + f.Came[i].Seconds/2 }
	from := sort.Search(len(f.Came), func(i int) bool { return middle(i) < after })
	to := sort.Search(len(f.Came), func(i int) bool { return middle(i) <= end })
	if f.Assumed {
		from = max(from, 1)
	}
	within := f.Came[min(from, to):to]
	var came, done, seconds float64
	for _, in := range within {
		came += in.Messages
		done += in.Done
		seconds += in.Seconds
	}
	if len(within) == 0 || seconds <= 0 || math.Abs(total-came) < 1e-6*(1+total) {
		return
	}
	missing, sum := total-came, 0.0
	for i := range within {
		in := &within[i]
		share := in.Seconds / seconds
		if done > 0 {
			share = in.Done / done
		}
		change := max(missing*share, -in.Messages)
		in.Messages += change
		in.Done = max(0, in.Done+change)
		sum += in.Messages
	}
	if sum > total {
		for i := range within {
			within[i].Messages *= total / sum
		}
	}
}

// serviceDrift is by how much the time in flight may change in a minute, as the
// variance of a share.
const serviceDrift = 0.05 * 0.05

// learnService renews how long messages are in flight, by one more minute. What
// that is worth depends on how much was done, and on how many readings found how much
// in flight: as long as work waits that is the same in all of them.
func (f *Flow) learnService(m FlowMinute, done float64) {
	if f.ServiceDoubt > 0 {
		f.ServiceDoubt = min(f.ServiceDoubt+serviceDrift, 1)
	}
	if done < 1 || m.Flight <= 0 {
		return
	}
	doubt := 1/done + 0.02*0.02 + m.Unsure/(m.Flight*m.Flight)
	if m.Waiting < 1 {
		doubt += m.Covered / (m.Flight * float64(max(1, m.Readings)))
	}
	service := min(max(m.Flight/done, 0.001), 86400)
	if f.Service == 0 {
		f.Service, f.ServiceDoubt = service, doubt
		return
	}
	gain := f.ServiceDoubt / (f.ServiceDoubt + doubt)
	f.Service += gain * (service - f.Service)
	f.ServiceDoubt *= 1 - gain
}

// anchor lets the first interval end where CloudWatch saw the oldest message, as
// long as there are messages that were never seen to come.
func (f *Flow) anchor(points metrics.Points) {
	for i := len(f.Minutes) - 1; i >= 0; i-- {
		m := f.Minutes[i]
		p := minuteOf(points, m.Start)
		if p == nil || finite(p.OldestAge) == nil {
			continue
		}
		first := 0
		if f.Assumed {
			first = 1
		}
		since, watched, came := f.At.Sub(m.Start).Seconds(), 0.0, 0.0
		for j := len(f.Came) - 1; j >= first; j-- {
			if watched > since-0.001 {
				came += f.Came[j].Messages
			}
			watched += f.Came[j].Seconds
		}
		unseen, older := m.Left-came, since+*p.OldestAge-watched
		switch {
		case unseen < 1:
			if f.Assumed {
				f.Came, f.Assumed = f.Came[1:], false
			}
		case older > 0:
			before := Interval{Seconds: older, Messages: unseen}
			if f.Assumed {
				f.Came[0] = before
			} else {
				f.Came = append([]Interval{before}, f.Came...)
			}
			f.Assumed = true
		}
		return
	}
}
