package policy

import (
	"math"
	"slices"
)

const (
	// arrivalsWindow is how far back arrivals speak for those to come, at most;
	// arrivalsLeast how far at least.
	arrivalsWindow = 60.0
	arrivalsLeast  = 10.0
)

// arrivals is how many messages come in a second, and how far that may be off by
// chance. It looks back as far as what came is what still comes: to where the rate
// before and after differ most, if by more than chance explains, and what is not known
// of how fast messages are done; and else for arrivalsWindow.
func (f *Flow) arrivals(perMessage float64) (rate, doubt float64) {
	type sum struct{ seconds, came, variance, done float64 }
	var sums [flowIntervals + 2]sum
	n := 0
	for i, in := range slices.Backward(f.Came) {
		if i == 0 && f.Assumed {
			break // nobody saw it come
		}
		if in.Seconds <= 0 || n > flowIntervals {
			continue
		}
		s := sums[n]
		if s.seconds >= arrivalsWindow {
			break
		}
		seen, variance := in.Seen, in.Unsure
		if variance == 0 {
			seen, variance = in.Messages, in.Messages+in.Done/4+1
		}
		n++
		sums[n] = sum{s.seconds + in.Seconds, s.came + seen, s.variance + variance, s.done + in.Done}
	}
	if n == 0 {
		return 0, 0
	}
	all, cut, most, unsure := sums[n], n, 3.0, f.doubt(perMessage)
	for i := 1; i < n; i++ {
		s := sums[i]
		if s.seconds < arrivalsLeast {
			continue
		}
		rest := sum{all.seconds - s.seconds, all.came - s.came, all.variance - s.variance, all.done - s.done}
		apart := math.Abs(s.came/s.seconds - rest.came/rest.seconds)
		common := unsure * (s.done/s.seconds - rest.done/rest.seconds)
		if z := apart / math.Sqrt(s.variance/(s.seconds*s.seconds)+rest.variance/(rest.seconds*rest.seconds)+common*common); z > most {
			cut, most = i, z
		}
	}
	s := sums[cut]
	if cut == n {
		return f.cameIn(s.seconds) / s.seconds, math.Sqrt(s.variance) / s.seconds
	}
	return max(0, s.came) / s.seconds, math.Sqrt(s.variance) / s.seconds
}

// lasting is what of arrivals has lasted for so many seconds: of a rise, no more than
// came in any third of them, and in the last quarter. A burst is a backlog and not a
// rate, wherever in them it was.
func (f *Flow) lasting(rate, seconds float64) float64 {
	steady, third, quarter := rate, seconds/3, seconds/4
	for _, part := range []struct{ came, seconds float64 }{
		{f.cameIn(quarter), quarter},
		{f.cameIn(third), third},
		{f.cameIn(2*third) - f.cameIn(third), third},
		{f.cameIn(seconds) - f.cameIn(2*third), third},
	} {
		if came := part.came / part.seconds; came+3*math.Sqrt((rate+1)/part.seconds) < rate {
			steady = min(steady, came)
		}
	}
	return steady
}
