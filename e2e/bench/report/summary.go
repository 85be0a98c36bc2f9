package report

import (
	"cmp"
	"slices"

	"github.com/keda-headroom/headroom/e2e/bench/result"
)

// summary is what several runs of one variant of a contender in one scenario
// come to.
type summary struct {
	contender  string
	parameters string
	runs       []result.Result // in the order of seeds
}

// spread is the middle and the worst of several runs.
type spread struct{ median, worst float64 }

// of measures every run. Larger is worse.
func (s summary) of(measure func(result.Result) float64) spread {
	values := make([]float64, len(s.runs))
	for i, r := range s.runs {
		values[i] = measure(r)
	}
	slices.Sort(values)
	// Of an even number the upper one: nothing is averaged that was not measured.
	return spread{values[len(values)/2], values[len(values)-1]}
}

func (s summary) refused() spread {
	return s.of(func(r result.Result) float64 { return float64(r.AllRefused()) })
}

// drained says whether every run was.
func (s summary) drained() bool {
	return !slices.ContainsFunc(s.runs, func(r result.Result) bool { return !r.Drained })
}

func (s summary) drain() spread {
	return s.of(func(r result.Result) float64 { return r.DrainSeconds })
}

// compared says whether every run has a drain relative to fixed replicas.
func (s summary) compared() bool {
	return !slices.ContainsFunc(s.runs, func(r result.Result) bool { return r.Ratio() == 0 })
}

func (s summary) ratio() spread { return s.of(result.Result.Ratio) }

// middle is the run that a chart shows: the one with the median of refusals.
func (s summary) middle() result.Result {
	sorted := slices.SortedStableFunc(slices.Values(s.runs), func(a, b result.Result) int {
		return cmp.Compare(a.AllRefused(), b.AllRefused())
	})
	return sorted[len(sorted)/2]
}

// better orders the variants of a contender: those that drained first, then the
// fewest refusals, then the quickest.
func better(a, b summary) int {
	drained := func(s summary) int {
		if s.drained() {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(drained(a), drained(b)),
		cmp.Compare(a.refused().median, b.refused().median),
		cmp.Compare(a.drain().median, b.drain().median),
		cmp.Compare(a.parameters, b.parameters),
	)
}

// summarize divides a scenario's results by contender and parameters. The
// variants of a contender are in the order of [better].
func summarize(results []result.Result, scenario string) map[string][]summary {
	byVariant := map[result.Key]*summary{}
	for _, r := range results {
		if r.Scenario != scenario {
			continue
		}
		key := r.Key()
		key.Seed = 0
		if byVariant[key] == nil {
			byVariant[key] = &summary{contender: r.Contender, parameters: r.Parameters}
		}
		byVariant[key].runs = append(byVariant[key].runs, r)
	}
	out := map[string][]summary{}
	for _, s := range byVariant {
		slices.SortFunc(s.runs, func(a, b result.Result) int { return cmp.Compare(a.Seed, b.Seed) })
		out[s.contender] = append(out[s.contender], *s)
	}
	for _, variants := range out {
		slices.SortFunc(variants, better)
	}
	return out
}
