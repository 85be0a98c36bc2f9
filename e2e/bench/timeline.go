package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/keda-headroom/headroom/e2e/node"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// tail is how much longer a lane is watched than it has something to do.
const tail = 5 * time.Second

// play plays the lane's part of the timeline from begin on, and returns when the
// messages are gone and nothing more is to come, or when it is cut off. What is
// of the whole cluster is the stage's part.
func (l *lane) play(ctx context.Context, begin time.Time) {
	cutOff := begin.Add(l.scenario.Duration.Duration())
	ctx, cancel := context.WithDeadline(ctx, cutOff)
	defer cancel()
	var steps sync.WaitGroup
	defer steps.Wait()
	defer cancel()

	if !sleepUntil(ctx, begin) {
		return
	}
	l.begin, l.before = begin, l.count()
	var bursts sync.WaitGroup
	for i, step := range l.scenario.Timeline {
		if step.Do == scenario.Burst {
			bursts.Go(func() { l.failed.add(l.burst(ctx, i, step, begin)) })
			continue
		}
		steps.Go(func() {
			if sleepUntil(ctx, begin.Add(step.At.Duration())) {
				l.failed.add(l.take(ctx, i, step))
			}
		})
	}
	bursts.Wait()
	nothingMore := begin.Add(l.scenario.Last())
	for ctx.Err() == nil {
		// Drained is what has been so since after the last message was sent: the
		// watcher has looked at the queues since then.
		if since := l.watcher.drained(); !since.IsZero() && time.Since(since) > 2*samplePeriod && time.Now().After(nothingMore) {
			break
		}
		sleepUntil(ctx, time.Now().Add(samplePeriod))
	}
	sleepUntil(ctx, time.Now().Add(tail))
	l.end, l.after = time.Now(), l.count()
}

// burst sends a step's messages to the queues, in a way that depends on the seed
// alone: the same in all lanes.
func (l *lane) burst(ctx context.Context, index int, step scenario.Step, begin time.Time) error {
	begin = begin.Add(step.At.Duration())
	if !sleepUntil(ctx, begin) {
		return nil
	}
	l.firstMessageOnce.Do(func() { l.firstMessage = begin })
	var sending sync.WaitGroup
	var failed failures
	for i, f := range l.scenario.Expand() {
		n := step.Sends(f)
		if n == 0 {
			continue
		}
		random := rand.New(rand.NewPCG(uint64(l.seed), uint64(index*1000+i)))
		at := arrivals(random, n, step.For.Duration())
		sending.Go(func() { failed.add(l.queues.send(ctx, f.Name, index, begin, at)) })
	}
	sending.Wait()
	return failed.all()
}

// take takes one of the other steps.
func (l *lane) take(ctx context.Context, index int, step scenario.Step) error {
	switch step.Do {
	case scenario.Spike:
		l.others.Spike(ctx, step.Connections, step.For.Duration())
	case scenario.Leak:
		l.others.Leak(ctx, step.Every.Duration(), step.Connections)
	case scenario.Rollout:
		var errs []error
		for _, f := range l.scenario.Expand() {
			if step.Concerns(f) {
				errs = append(errs, rollOut(ctx, l.stage.cluster.Client(), l.lane.Namespace, f.Name, index))
			}
		}
		return errors.Join(errs...)
	case scenario.Failover:
		return l.database.failOver(ctx, step.MaxConnections)
	case scenario.LoseNode:
		return l.nodes[0].Lose(ctx, node.Loss{DeleteNode: true, Freeze: true, Linger: step.For.Duration()})
	case scenario.Restart: // the stage's
	case scenario.Burst:
		return fmt.Errorf("step %d: a burst is not taken", index)
	}
	return nil
}
