package result

import (
	"fmt"
	"slices"
	"time"
)

// Sample is a look at a lane.
type Sample struct {
	At time.Duration // from the beginning of the timeline
	// Used are client connections of everybody, Autoscaler of them the
	// autoscaler's; Usable is the limit for ordinary roles.
	Used, Autoscaler, Usable int
	// Watched is false where the database could not be looked at; then the
	// fields above are 0.
	Watched bool
	// Pods run, terminating ones included; Target is spec.replicas. Both of all
	// fleets.
	Pods, Target int
	// Late is how much later than planned the sample was taken.
	Late time.Duration
}

// longestGap is the most that one sample speaks for.
const longestGap = time.Second

// Full is for how long no connection was free for an ordinary role. What was
// full at one sample counts as full until the next.
func Full(samples []Sample) time.Duration {
	var full time.Duration
	for i := 1; i < len(samples); i++ {
		if s := samples[i-1]; s.Watched && s.Used >= s.Usable {
			full += min(samples[i].At-s.At, longestGap)
		}
	}
	return full
}

// PodTime adds up the time of pods from one moment to another.
func PodTime(samples []Sample, from, until time.Duration) time.Duration {
	var sum time.Duration
	for i := 1; i < len(samples); i++ {
		begin, end := max(samples[i-1].At, from), min(samples[i].At, until)
		if end > begin {
			sum += time.Duration(samples[i-1].Pods) * (end - begin)
		}
	}
	return sum
}

// Peak is the sample with the most of something.
func Peak(samples []Sample, of func(Sample) int) Sample {
	if len(samples) == 0 {
		return Sample{}
	}
	return slices.MaxFunc(samples, func(a, b Sample) int { return of(a) - of(b) })
}

// LateBy is by how much one in a hundred samples was late at least.
func LateBy(samples []Sample) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	late := make([]time.Duration, len(samples))
	for i, s := range samples {
		late[i] = s.Late
	}
	slices.Sort(late)
	return late[len(late)-1-len(late)/100]
}

// Turns counts the changes of direction of a number: a rise after a fall, or a
// fall after a rise.
func Turns(values []int) int {
	turns, direction := 0, 0
	for i := 1; i < len(values); i++ {
		change := values[i] - values[i-1]
		if change == 0 {
			continue
		}
		if change*direction < 0 {
			turns++
		}
		direction = change
	}
	return turns
}

// NewSeries thins samples out to steps of a length: the highest of each step, as
// what is short must not be lost. refused are the times of refusals.
func NewSeries(samples []Sample, refused []time.Duration, step time.Duration) Series {
	out := Series{EverySeconds: step.Seconds()}
	if len(samples) == 0 {
		return out
	}
	n := int(samples[len(samples)-1].At/step) + 1
	out.Used, out.Usable = make([]int, n), make([]int, n)
	out.Pods, out.Target, out.Refused = make([]int, n), make([]int, n), make([]int, n)
	seen := make([]bool, n)
	for _, s := range samples {
		if s.At < 0 {
			continue
		}
		i := int(s.At / step)
		seen[i] = true
		out.Used[i], out.Usable[i] = max(out.Used[i], s.Used), max(out.Usable[i], s.Usable)
		out.Pods[i], out.Target[i] = max(out.Pods[i], s.Pods), s.Target
	}
	for i := 1; i < n; i++ {
		if !seen[i] { // nobody looked: as it was
			out.Used[i], out.Usable[i] = out.Used[i-1], out.Usable[i-1]
			out.Pods[i], out.Target[i] = out.Pods[i-1], out.Target[i-1]
		}
	}
	for _, at := range refused {
		if i := int(at / step); at >= 0 && i < n {
			out.Refused[i]++
		}
	}
	return out
}

// Reconcile says where the server's log and its clients differ about refusals. A
// client that was killed, or cut off, can't tell of its last ones; a client that
// tells of more than the server has not counted refusals.
func Reconcile(clients, server Refusals) []string {
	var out []string
	for _, c := range []struct {
		who               string
		counted, inTheLog int
	}{
		{"workers", clients.Workers, server.Workers},
		{"the other application", clients.Other, server.Other},
	} {
		switch {
		case c.counted == c.inTheLog:
		case c.counted < c.inTheLog:
			out = append(out, fmt.Sprintf("The server's log has %d refusals of %s, of which they counted %d: the others were of processes that had ended.", c.inTheLog, c.who, c.counted))
		default:
			out = append(out, fmt.Sprintf("The server's log has %d refusals of %s, and they counted %d: something else than the server refused them.", c.inTheLog, c.who, c.counted))
		}
	}
	return out
}

// Bounds of a machine that is quick enough for its measurements to mean
// something.
const (
	latest  = time.Second
	busiest = 0.97
)

// Doubts says what is doubtful about measurements on a machine.
func (m Machine) Doubts() []string {
	var out []string
	if m.Late > latest.Seconds() {
		out = append(out, fmt.Sprintf("The machine was saturated: one sample in a hundred came %.1f s late.", m.Late))
	}
	if m.Busy > busiest {
		out = append(out, fmt.Sprintf("The machine was saturated: its processors were busy %.0f %% of the time.", 100*m.Busy))
	}
	return out
}
