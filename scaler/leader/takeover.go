package leader

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// listAgain is how long after a list the next one begins.
	listAgain = time.Second
	// lookAgain is how often it is looked whether what was listed is watched.
	lookAgain = 10 * time.Millisecond
	// listTimeout bounds one list of all pods.
	listTimeout = 30 * time.Second
	// listPage is how many pods one request asks for.
	listPage = 1000
)

// Pod is one pod of the cluster.
type Pod struct {
	Namespace, Name string
	UID             types.UID
}

// takeOver makes the term one with an epoch, once every pod that was there after
// the lease was acquired, and still is, is watched. It tries until the term ends.
func (l *Leader) takeOver(t *term) {
	began, said := time.Now(), ""
	var pending []Pod // nil before the first list
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
				return fmt.Errorf("%d pods are not watched yet, one of them %s/%s", len(pending), pending[0].Namespace, pending[0].Name)
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
func (l *Leader) await(ctx context.Context, pods []Pod) []Pod {
	missing := l.options.Missing(pods)
	for until := time.Now().Add(listAgain); len(missing) > 0 && time.Now().Before(until); {
		if !pause(ctx, lookAgain) {
			break
		}
		missing = l.options.Missing(missing)
	}
	if missing == nil {
		missing = []Pod{} // not as before the first list
	}
	return missing
}

// still returns those of pods that exist.
func still(pods, existing []Pod) []Pod {
	there := make(map[types.UID]bool, len(existing))
	for _, p := range existing {
		there[p.UID] = true
	}
	out := []Pod{}
	for _, p := range pods {
		if there[p.UID] {
			out = append(out, p)
		}
	}
	return out
}

// pods lists all pods of the cluster as they are now: without a resourceVersion the
// API server asks etcd's quorum, and the pages after the first are of the same
// instant.
func (l *Leader) pods(ctx context.Context) ([]Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	client := l.options.Metadata.Resource(corev1.SchemeGroupVersion.WithResource("pods"))
	out := []Pod{}
	for options := (metav1.ListOptions{Limit: listPage}); ; {
		list, err := client.List(ctx, options)
		if err != nil {
			// Where a page is too late, the next list begins anew.
			return nil, fmt.Errorf("list all pods: %w", err)
		}
		for i := range list.Items {
			p := &list.Items[i]
			out = append(out, Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID})
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return out, nil
		}
	}
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
