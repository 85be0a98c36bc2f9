package gate

import (
	"log/slog"
	"slices"
	"time"

	"github.com/keda-headroom/headroom/metrics"
)

// batchFor is how long admissions of one workload are gathered for one line.
const batchFor = time.Second

// journal writes what was done to the log: one line at info for each eviction and
// for the admissions of a workload within a second, one at warn for what was
// refused, as long as it is refused for the same reason.
type journal struct {
	log     *slog.Logger
	batches map[metrics.ID]*batch
	refused map[refusedOf]string
}

// refusedOf is what was refused: of evictions each pod's, else a kind of action.
type refusedOf struct {
	kind     Kind
	workload metrics.ID
	uid      string
}

// batch is admissions of one workload.
type batch struct {
	since    time.Time
	pods     []string
	sentence string // of the latest
}

func newJournal(log *slog.Logger) *journal {
	return &journal{log: log, batches: map[metrics.ID]*batch{}, refused: map[refusedOf]string{}}
}

// maxRefused is how many refusals are remembered; beyond it all are forgotten, and
// told again.
const maxRefused = 1000

// note writes down an outcome, or keeps it for the next line.
func (j *journal) note(o Outcome) {
	about := []any{"workload", o.Workload.String(), "pod", o.Name}
	key := refusedOf{kind: o.Kind, workload: o.Workload}
	if o.Kind == Evict {
		key.uid = o.UID
	}
	switch o.Result {
	case Done:
		delete(j.refused, key)
		switch o.Kind {
		case Admit:
			b := j.batches[o.Workload]
			if b == nil {
				b = &batch{since: o.At}
				j.batches[o.Workload] = b
			}
			b.pods, b.sentence = append(b.pods, o.Name), o.Sentence
			return
		case Evict:
			j.log.Info("pod evicted", append(about, "reason", string(o.Reason), "sentence", o.Sentence, "deleted", o.Deleted)...)
			return
		case Stamp:
		}
	case Blocked, Denied, Failed:
		if j.refused[key] != o.Said {
			if len(j.refused) >= maxRefused {
				clear(j.refused)
			}
			j.refused[key] = o.Said
			what := map[Kind]string{Stamp: "a gated pod can't be claimed", Admit: "a pod can't be let through the gate", Evict: "a pod can't be evicted"}
			j.log.Warn(what[o.Kind], append(about, "result", string(o.Result), "said", o.Said, "sentence", o.Sentence)...)
			return
		}
	case Stale, Gone, Unanswered:
	}
	j.log.Debug("acted on a pod", append(about, "action", string(o.Kind), "result", string(o.Result), "took", o.Took, "said", o.Said)...)
}

// due is how long the oldest batch is yet to wait, false where there is none.
func (j *journal) due(now time.Time) (time.Duration, bool) {
	wait, waits := time.Duration(0), false
	for _, b := range j.batches {
		if left := b.since.Add(batchFor).Sub(now); !waits || left < wait {
			wait, waits = left, true
		}
	}
	return max(0, wait), waits
}

// flush writes the batches that have waited long enough, or all of them.
func (j *journal) flush(now time.Time, all bool) {
	var ids []metrics.ID
	for id, b := range j.batches {
		if all || now.Sub(b.since) >= batchFor {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, metrics.ID.Compare)
	for _, id := range ids {
		b := j.batches[id]
		delete(j.batches, id)
		j.log.Info("pods admitted", "workload", id.String(), "pods", len(b.pods), "first", b.pods[0], "sentence", b.sentence)
	}
}
