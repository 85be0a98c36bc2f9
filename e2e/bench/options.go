package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// Options say what to play, and where its results go.
type Options struct {
	// Scenarios and Contenders are all that there are; Scenario and Contender are
	// the names of those that are played, all where they are empty.
	Scenarios           []scenario.Scenario
	Contenders          []contender.Contender
	Scenario, Contender []string
	// Seeds is how often each is played, with seeds from 1 on.
	Seeds int
	// NoSweep plays contenders with the parameters that they show alone, also in
	// scenarios that are for sweeps.
	NoSweep bool
	// Lanes is how many contenders run side by side at most; 0 sets no bound.
	// Fixed replicas, which others are compared with, run beside each batch.
	Lanes int
	// WarmUp is how long everything stands before the timeline begins: longer than
	// the window in which autoscalers watch others.
	WarmUp time.Duration
	// FirstNetwork is the N of the first 127.N.0.0/16 that pods get addresses of, 10 to
	// 249. Each node takes the next one: runs at the same time on one machine begin
	// far apart.
	FirstNetwork int
	// Out is the directory of results and report; results of other runs stay there.
	Out string
	// Dir gets the logs. It has to be empty, or not there yet.
	Dir string
	// Log is told what happens.
	Log io.Writer
}

// warmUp is what WarmUp should be: othersWindow of the contenders' policies, and
// what KEDA's and Kubernetes' intervals add to it.
const warmUp = 45 * time.Second

// lanes is what Lanes should be: two processors are half busy with as many, where
// a scenario sets no lower bound.
const lanes = 6

// Defaults returns the options of a whole run without scenarios and contenders.
func Defaults() Options {
	return Options{Seeds: 1, Lanes: lanes, WarmUp: warmUp, FirstNetwork: firstNetwork}
}

// baseline is the contender that others are compared with.
const baseline = "fixed"

// production is a scenario and who plays it: batches of variants that run side by
// side, each with the baseline, where there is one.
type production struct {
	scenario scenario.Scenario
	batches  [][]contender.Variant
}

// plan says what is played.
func (o Options) plan() ([]production, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var out []production
	for _, s := range o.Scenarios {
		if len(o.Scenario) == 0 || slices.Contains(o.Scenario, s.Name) {
			out = append(out, production{s, o.batches(s)})
		}
	}
	return out, nil
}

// batches divides the contenders in a scenario. The variants that they show come
// first, so that those run side by side.
func (o Options) batches(s scenario.Scenario) [][]contender.Variant {
	var base, shown, others []contender.Variant
	for _, c := range o.Contenders {
		switch {
		case c.Name == baseline:
			base = append(base, c.ShownVariant())
			continue
		case len(o.Contender) > 0 && !slices.Contains(o.Contender, c.Name):
			continue
		}
		first := c.ShownVariant()
		shown = append(shown, first)
		for _, v := range c.Sweep() {
			if s.Sweep && !o.NoSweep && v.Label() != first.Label() {
				others = append(others, v)
			}
		}
	}
	variants := append(shown, others...)
	if len(variants) == 0 {
		return [][]contender.Variant{base}
	}
	size := len(variants)
	for _, most := range []int{o.Lanes, s.Lanes} {
		if most > 0 {
			size = min(size, most-len(base))
		}
	}
	var out [][]contender.Variant
	for batch := range slices.Chunk(variants, size) {
		out = append(out, slices.Concat(batch, base))
	}
	return out
}

// check says what can't be played.
func (o Options) check() error {
	var scenarios, contenders []string
	for _, s := range o.Scenarios {
		scenarios = append(scenarios, s.Name)
	}
	for _, c := range o.Contenders {
		contenders = append(contenders, c.Name)
	}
	for _, list := range []struct {
		what          string
		wanted, there []string
	}{{"scenario", o.Scenario, scenarios}, {"contender", o.Contender, contenders}} {
		for _, name := range list.wanted {
			if !slices.Contains(list.there, name) {
				return fmt.Errorf("%s: expected one of %s, found %q", list.what, strings.Join(list.there, ", "), name)
			}
		}
	}
	if o.Seeds < 1 {
		return fmt.Errorf("seeds: expected 1 or more, found %d", o.Seeds)
	}
	if o.FirstNetwork < firstNetwork || o.FirstNetwork > lastNetwork {
		return fmt.Errorf("first network: expected %d to %d, found %d", firstNetwork, lastNetwork, o.FirstNetwork)
	}
	if o.Lanes < 0 || o.Lanes == 1 {
		return fmt.Errorf("lanes: expected 2 or more, one of which has fixed replicas, or 0 for all, found %d", o.Lanes)
	}
	return nil
}
