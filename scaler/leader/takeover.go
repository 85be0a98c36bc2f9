package leader

import (
	"context"
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/metrics/kube"
)

const (
	// listAgain is how long after a list the next one begins.
	listAgain = time.Second
	// lookAgain is how often it is looked whether what was listed is watched.
	lookAgain = 10 * time.Millisecond
	// listTimeout bounds one list of all pods.
	listTimeout = 30 * time.Second
)

// takeOver makes the term one with an epoch, once every pod that was there after
// the lease was acquired, and still is, is watched. It tries until the term ends.
func (l *Leader) takeOver(t *term) {
	began, said := time.Now(), ""
	var pending []kube.PodRef // nil before the first list
	listed := 0
	for {
		err := func() error {
			pods, err := l.pods(t.ctx)
			if err != nil {
				return err
			}
			if pending == nil {
				pending, listed = pods, len(pods)
			} else {
				pending = still(pending, pods)
			}
			if pending = l.await(t.ctx, pending); len(pending) > 0 {
				return fmt.Errorf("%d pods are not watched yet, one of them %s", len(pending), pending[0].ID)
			}
			return t.confirm(t.ctx)
		}()
		if t.ctx.Err() != nil {
			return
		}
		if err == nil {
			now := time.Now()
			t.ready.Store(&now)
			l.log.Info("took over: every pod is known", "term", t.identity, "pods", listed, "took", now.Sub(began).Round(time.Millisecond).String())
			return
		}
		if err.Error() != said {
			said = err.Error()
			l.log.Warn("not taken over yet: no pod is let through before", "term", t.identity, "problem", said)
		}
		if !pause(t.ctx, listAgain) {
			return
		}
	}
}

// await returns those of pods that are still missing after a while.
func (l *Leader) await(ctx context.Context, pods []kube.PodRef) []kube.PodRef {
	missing := l.options.Watched.Absent(pods)
	for until := time.Now().Add(listAgain); len(missing) > 0 && time.Now().Before(until); {
		if !pause(ctx, lookAgain) {
			break
		}
		missing = l.options.Watched.Absent(missing)
	}
	if missing == nil {
		missing = []kube.PodRef{} // not as before the first list
	}
	return missing
}

// still returns those of pods that exist.
func still(pods, existing []kube.PodRef) []kube.PodRef {
	there := make(map[string]bool, len(existing))
	for _, p := range existing {
		there[p.UID] = true
	}
	out := []kube.PodRef{}
	for _, p := range pods {
		if there[p.UID] {
			out = append(out, p)
		}
	}
	return out
}

// pods lists all pods of the cluster as they are now.
func (l *Leader) pods(ctx context.Context) ([]kube.PodRef, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return l.options.Watched.ListPods(ctx)
}

// pause waits for d, and returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
