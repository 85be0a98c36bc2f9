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
	// Sweep plays contenders with all their parameters, not only with the shown
	// ones.
	Sweep bool
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

// Defaults returns the options of a whole run without scenarios and contenders.
func Defaults() Options {
	return Options{Seeds: 1, WarmUp: warmUp, FirstNetwork: firstNetwork}
}

// baseline is the contender that others are compared with.
const baseline = "fixed"

// plan says what is played: batches of variants that run side by side, each with
// the baseline, where there is one.
func (o Options) plan() (scenarios []scenario.Scenario, batches [][]contender.Variant, err error) {
	scenarioNames, contenderNames := []string{}, []string{}
	for _, s := range o.Scenarios {
		scenarioNames = append(scenarioNames, s.Name)
		if len(o.Scenario) == 0 || slices.Contains(o.Scenario, s.Name) {
			scenarios = append(scenarios, s)
		}
	}
	var base *contender.Variant
	var variants []contender.Variant
	for _, c := range o.Contenders {
		contenderNames = append(contenderNames, c.Name)
		switch {
		case c.Name == baseline:
			v := c.ShownVariant()
			base = &v
		case len(o.Contender) > 0 && !slices.Contains(o.Contender, c.Name):
		case o.Sweep:
			variants = append(variants, c.Sweep()...)
		default:
			variants = append(variants, c.ShownVariant())
		}
	}
	for _, check := range []struct {
		what          string
		wanted, there []string
	}{{"scenario", o.Scenario, scenarioNames}, {"contender", o.Contender, contenderNames}} {
		for _, name := range check.wanted {
			if !slices.Contains(check.there, name) {
				return nil, nil, fmt.Errorf("%s: expected one of %s, found %q", check.what, strings.Join(check.there, ", "), name)
			}
		}
	}
	if o.Seeds < 1 {
		return nil, nil, fmt.Errorf("seeds: expected 1 or more, found %d", o.Seeds)
	}
	if o.FirstNetwork < firstNetwork || o.FirstNetwork > lastNetwork {
		return nil, nil, fmt.Errorf("first network: expected %d to %d, found %d", firstNetwork, lastNetwork, o.FirstNetwork)
	}
	size := len(variants)
	if o.Lanes > 0 {
		size = o.Lanes
		if base != nil {
			size--
		}
	}
	if size < 1 && len(variants) > 0 {
		return nil, nil, fmt.Errorf("lanes: expected 2 or more, one of which has fixed replicas, found %d", o.Lanes)
	}
	if len(variants) == 0 {
		variants, base, size = []contender.Variant{*base}, nil, 1
	}
	for batch := range slices.Chunk(variants, size) {
		batch = slices.Clone(batch)
		if base != nil {
			batch = append(batch, *base)
		}
		batches = append(batches, batch)
	}
	return scenarios, batches, nil
}
