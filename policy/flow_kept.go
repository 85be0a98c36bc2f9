package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

const (
	// flowKeptGap is for how long nobody may have watched a queue until what came
	// before says nothing of its messages any more: a restart, or another leader after
	// one that was killed, takes less. CloudWatch is no faster in telling what was missed.
	flowKeptGap = 2 * time.Minute
	// flowClockSkew is by how much the clock of who kept a flow may be ahead of that of
	// who goes on with it.
	flowClockSkew = 5 * time.Second
	// flowDigits is how many digits numbers are kept with, and flowLeast the smallest
	// that is kept but for 0: a millionth of a message, or of a second, is none.
	flowDigits = 6
	flowLeast  = 1e-6
	// flowLongest bounds a stretch of time that is believed, in seconds: far above what
	// a queue retains messages for.
	flowLongest = 366 * 24 * 3600.0
)

// Kept is the flow as it outlives the process: in a few digits, and without what came
// where that was nothing, so that it doesn't change while nothing happens.
func (f Flow) Kept() Flow {
	f.Ready = 0 // is of no use to who goes on with it
	if f.quiet() {
		out := f.Learned()
		out.At, out.Falls = time.Time{}, 0
		out.ServiceDoubt = min(1, math.Ceil(out.ServiceDoubt)) // it grows by the minute
		return out
	}
	f.Service, f.ServiceDoubt, f.Falls = inDigits(f.Service), inDigits(f.ServiceDoubt), inDigits(f.Falls)
	f.Came = slices.Clone(f.Came)
	ends := f.ages()
	for i, in := range f.Came {
		// Ends are rounded and not lengths, whose errors would add up.
		length := math.Round(1000*ends[i]+1000*in.Seconds) - math.Round(1000*ends[i])
		f.Came[i] = Interval{Seconds: length / 1000, Messages: inDigits(in.Messages), Done: inDigits(in.Done)}
		if ends[i] < arrivalsWindow { // else it is looked at no more
			f.Came[i].Seen, f.Came[i].Unsure = inDigits(in.Seen), inDigits(min(in.Unsure, flowMost))
		}
	}
	f.Minutes = slices.Clone(f.Minutes)
	for i := range f.Minutes {
		m := &f.Minutes[i]
		for _, v := range []*float64{&m.Left, &m.Covered, &m.Unwatched, &m.Flight, &m.Pods, &m.Unsure} {
			*v = inDigits(*v)
		}
	}
	f.Rates = ratesInDigits(f.Rates)
	return f
}

// Learned is what of a flow is known of pods, and holds for any messages: most of its
// worth in a quarter of its size.
func (f Flow) Learned() Flow {
	return Flow{
		At: f.At, Service: inDigits(f.Service), ServiceDoubt: inDigits(f.ServiceDoubt), Falls: inDigits(f.Falls),
		Rates: ratesInDigits(f.Rates), Groups: f.Groups, GroupsShort: f.GroupsShort, Startups: f.Startups,
	}
}

// quiet reports whether nothing was there, and nothing came, for as long as minutes
// are remembered.
func (f Flow) quiet() bool {
	return !f.EmptySince.IsZero() && f.At.Sub(f.EmptySince) >= flowMinutes*flowMinute && f.cameIn(flowMinutes*flowMinute.Seconds()) == 0
}

// Resume is a flow that was kept, for who goes on with it at now. What came is
// forgotten where nobody watched for too long, or where that can't be told. What was
// learned is worth less the older it is.
func (f Flow) Resume(now time.Time) Flow {
	gap := now.Sub(f.At)
	if len(f.Came) > 0 && -flowClockSkew <= gap && gap <= flowKeptGap {
		f.Resumed = true
		return f
	}
	out := f.Learned()
	out.At, out.Rates = time.Time{}, nil
	for _, r := range f.Rates {
		if !r.At.After(now) {
			out.Rates = append(out.Rates, r)
		}
	}
	switch {
	case f.At.IsZero() || gap < 0:
		out.ServiceDoubt, out.Falls = 1, 0
		out.Groups, out.GroupsShort = Peak{}, time.Time{}
	default:
		out.ServiceDoubt = min(out.ServiceDoubt+gap.Minutes()*serviceDrift, 1)
		out.Falls = out.fell(0, 0, gap.Seconds())
	}
	if f.Service == 0 {
		out.ServiceDoubt = 0
	}
	return out
}

// Check says what no flow is that was kept.
func (f Flow) Check() error {
	switch {
	case len(f.Came) > flowIntervals || len(f.Minutes) > flowMinutes || len(f.Rates) > ratesKept || len(f.Startups) > startupsKept || len(f.Asks) > asksKept:
		return fmt.Errorf("expected at most %d intervals, %d minutes, %d rates, %d startups and %d asks, found %d, %d, %d, %d and %d",
			flowIntervals, flowMinutes, ratesKept, startupsKept, asksKept, len(f.Came), len(f.Minutes), len(f.Rates), len(f.Startups), len(f.Asks))
	case f.At.IsZero() && len(f.Came)+len(f.Minutes) > 0:
		return errors.New("expected the time up to which messages came, found none")
	case len(f.Came) == 0 && len(f.Minutes) > 0:
		return errors.New("expected what came in the minutes, found none")
	}
	for _, in := range f.Came {
		if err := inRange(flowLongest, in.Seconds); err != nil {
			return fmt.Errorf("an interval's length: %w", err)
		}
		if err := inRange(flowMost, in.Messages, in.Done, math.Abs(in.Seen), in.Unsure); err != nil {
			return fmt.Errorf("an interval: %w", err)
		}
	}
	for i, m := range f.Minutes {
		if !m.Start.Equal(m.Start.Truncate(flowMinute)) || i > 0 && !m.Start.Equal(f.Minutes[i-1].Start.Add(flowMinute)) || m.Start.After(f.At) {
			return fmt.Errorf("expected minutes of the clock that follow each other up to %s, found %s", f.At, m.Start)
		}
		if err := inRange(flowMost, m.Left, m.Flight, m.Pods, m.Unsure, float64(m.Waiting), float64(m.Readings)); err != nil {
			return fmt.Errorf("the minute %s: %w", m.Start, err)
		}
		if err := inRange(2*flowMinute.Seconds(), m.Covered, m.Unwatched); err != nil {
			return fmt.Errorf("the minute %s: %w", m.Start, err)
		}
	}
	for _, r := range f.Rates {
		if err := inRange(flowMost, r.PerPod, r.InFlight); err != nil || r.PerPod == 0 {
			return fmt.Errorf("the rate of %s: expected more than 0 messages for each pod, found %v, %v in flight", r.At, r.PerPod, r.InFlight)
		}
	}
	for _, a := range f.Asks {
		if err := inRange(math.MaxInt32, float64(a.Replicas)); err != nil {
			return fmt.Errorf("what was asked for: %w", err)
		}
	}
	if err := inRange(startupMost.Seconds(), f.Startups...); err != nil {
		return fmt.Errorf("startups: %w", err)
	}
	if err := inRange(flowMost, f.Service, f.ServiceDoubt, f.Falls); err != nil {
		return fmt.Errorf("what was learned: %w", err)
	}
	if f.Service > 0 && (f.Service < 0.001 || f.ServiceDoubt == 0) {
		return fmt.Errorf("expected a message to be in flight for a millisecond or more, and some doubt of it, found %v s and %v", f.Service, f.ServiceDoubt)
	}
	return nil
}

// inRange says which of values isn't 0, nor one from flowLeast to most.
func inRange(most float64, values ...float64) error {
	for _, v := range values {
		if v != 0 && !(flowLeast <= v && v <= most) {
			return fmt.Errorf("expected 0, or %g to %g, found %v", flowLeast, most, v)
		}
	}
	return nil
}

func ratesInDigits(rates []Rate) []Rate {
	var out []Rate
	for _, r := range rates {
		out = append(out, Rate{r.At, inDigits(r.PerPod), inDigits(r.InFlight)})
	}
	return out
}

// inDigits rounds to flowDigits digits, and what is below flowLeast to 0.
func inDigits(v float64) float64 {
	if math.Abs(v) < flowLeast {
		return 0
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', flowDigits, 64), 64)
	if err != nil {
		return v
	}
	return rounded
}
