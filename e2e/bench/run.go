package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keda-headroom/headroom/e2e/bench/report"
	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// setUps is how many lanes are set up at a time: two processors do no more.
const setUps = 2

// Run plays everything, and writes results and report after each scenario. What
// was measured before an error, or before ctx ended, is kept.
func Run(ctx context.Context, o Options) (err error) {
	productions, err := o.plan()
	if err != nil {
		return err
	}
	machine, err := thisMachine()
	if err != nil {
		return err
	}
	lanes, headroom := 0, false
	for _, production := range productions {
		for _, batch := range production.batches {
			lanes = max(lanes, len(batch))
			headroom = headroom || slices.ContainsFunc(batch, func(v contender.Variant) bool { return v.Headroom })
		}
	}
	stage, err := setStage(ctx, o, headroom, lanes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.close()) }()
	p := player{Options: o, stage: stage, machine: machine}
	for _, production := range productions {
		for seed := 1; seed <= o.Seeds; seed++ {
			if err := p.produce(ctx, production, seed); err != nil {
				return err
			}
		}
	}
	return errors.Join(p.failed...)
}

// produce plays all batches of a scenario, and keeps their results. A batch that
// fails is noted: the others can be played for all that.
func (p *player) produce(ctx context.Context, production production, seed int) error {
	for i, batch := range production.batches {
		fmt.Fprintf(p.Log, "%s  %s, seed %d, batch %d of %d\n", time.Now().UTC().Format(time.TimeOnly), production.scenario.Name, seed, i+1, len(production.batches))
		results, err := p.play(ctx, production.scenario, batch, seed, i)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			fmt.Fprintf(p.Log, "    failed: %v\n", err)
			p.failed = append(p.failed, fmt.Errorf("%s, seed %d: %w", production.scenario.Name, seed, err))
			continue
		}
		p.tell(results)
		if err := p.keep(results); err != nil {
			return err
		}
	}
	return nil
}

// player plays one batch after the other.
type player struct {
	Options
	stage   *stage
	machine machine
	failed  []error // batches that could not be played
}

// play plays a scenario for some variants side by side.
func (p *player) play(ctx context.Context, s scenario.Scenario, variants []contender.Variant, seed, batch int) (results []result.Result, err error) {
	lanes := p.lanes(s, variants, seed, batch)
	for _, l := range lanes {
		if l.variant.Headroom {
			if err := p.stage.installHeadroom(ctx); err != nil {
				return nil, err
			}
			l.lane.Headroom = p.stage.service.address()
		}
	}
	defer func() {
		var closing sync.WaitGroup
		var failed failures
		for _, l := range lanes {
			closing.Go(func() { failed.add(l.close()) })
		}
		closing.Wait()
		err = errors.Join(err, failed.all())
	}()
	settingUp, setUpCtx := errgroup.WithContext(ctx)
	settingUp.SetLimit(setUps)
	for _, l := range lanes {
		settingUp.Go(func() error { return l.setUp(setUpCtx) })
	}
	if err := settingUp.Wait(); err != nil {
		return nil, err
	}
	// Where in the intervals of KEDA and Kubernetes the timeline begins is a
	// matter of chance, as it is in production.
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	begin := time.Now().Add(p.WarmUp + time.Duration(random.Int64N(int64(15*time.Second))))
	return p.perform(ctx, s, lanes, begin)
}

// perform plays the timeline in all lanes, and returns what came of it.
func (p *player) perform(ctx context.Context, s scenario.Scenario, lanes []*lane, begin time.Time) ([]result.Result, error) {
	sleepUntil(ctx, begin.Add(-time.Second))
	before, err := processorTimeNow()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var burden burden
	var background, playing sync.WaitGroup
	background.Go(func() { burden.watch(ctx) })
	failed := make(chan error, 1)
	background.Go(func() { failed <- p.stage.play(ctx, s.Timeline, begin) })
	for _, l := range lanes {
		playing.Go(func() {
			l.play(ctx, begin)
			if !l.end.IsZero() {
				fmt.Fprintf(p.Log, "    %s ended after %.0f s\n", l.variant.Name, l.end.Sub(begin).Seconds())
			}
			l.tearDown()
		})
	}
	playing.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	after, err := processorTimeNow()
	cancel()
	background.Wait()
	if err := errors.Join(err, <-failed); err != nil {
		return nil, err
	}
	return p.results(context.WithoutCancel(ctx), lanes, result.Machine{
		Cores: p.machine.cores, MemoryGiB: p.machine.memoryGiB, Lanes: len(lanes), Load: burden.highest(), Busy: after.busy(before),
	})
}

// results gathers the lanes' results.
func (p *player) results(ctx context.Context, lanes []*lane, m result.Machine) ([]result.Result, error) {
	var out []result.Result
	fixed := 0.0
	for _, l := range lanes {
		r, err := l.outcome(ctx)
		if err != nil {
			return nil, err
		}
		m.Late = r.Machine.Late
		r.Versions, r.Machine = p.stage.versions(l.database.server.Major()), m
		r.Findings = append(r.Findings, m.Doubts()...)
		if r.Contender == baseline && r.Drained {
			fixed = r.DrainSeconds
		}
		out = append(out, r)
	}
	for i := range out {
		out[i].FixedDrainSeconds = fixed
	}
	return out, nil
}

// lanes are the lanes of a batch.
func (p *player) lanes(s scenario.Scenario, variants []contender.Variant, seed, batch int) []*lane {
	var lanes []*lane
	for i, v := range variants {
		l := &lane{stage: p.stage, scenario: s, variant: v, seed: seed}
		l.lane = contender.Lane{Scenario: s, Namespace: fmt.Sprintf("%s-%s-%d-%d-%d", s.Name, v.Name, seed, batch, i)}
		lanes = append(lanes, l)
	}
	return lanes
}

// tell says what came of a batch.
func (p *player) tell(results []result.Result) {
	for _, r := range results {
		drained := fmt.Sprintf("drained in %.1f s (%.2f ×)", r.DrainSeconds, r.Ratio())
		if !r.Drained {
			drained = fmt.Sprintf("not drained in %.0f s", r.DrainSeconds)
		}
		fmt.Fprintf(p.Log, "    %-16s %5d refused to workers, %4d to others, full %5.1f s, peak %3d of %d, %s, %d turns  %s\n",
			r.Contender, r.Refused.Workers, r.Refused.Other, r.SecondsFull, r.PeakUsed, r.Usable, drained, r.Turns, r.Parameters)
		for _, f := range r.Findings {
			if !slices.Contains(r.Machine.Doubts(), f) {
				fmt.Fprintf(p.Log, "      %s\n", f)
			}
		}
	}
	if len(results) > 0 {
		m := results[0].Machine
		fmt.Fprintf(p.Log, "    load %.1f, busy %.0f %%, late %.2f s\n", m.Load, 100*m.Busy, m.Late)
		for _, doubt := range m.Doubts() {
			fmt.Fprintf(p.Log, "    %s\n", doubt)
		}
	}
}

// keep adds results to those in the file, and writes the report anew.
func (p *player) keep(results []result.Result) error {
	path := filepath.Join(p.Out, report.Results)
	older, err := result.ReadFile(path)
	if err != nil {
		return err
	}
	all := result.Merge(older, results)
	if err := result.WriteFile(path, all); err != nil {
		return err
	}
	return report.Write(p.Out, all, p.Scenarios, p.Contenders)
}
