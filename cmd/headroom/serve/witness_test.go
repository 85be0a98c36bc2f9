package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
	"github.com/keda-headroom/headroom/scaler/recording"
)

var ordersDB = metrics.ID{Namespace: "shop", Name: "orders-db"}

// seen is the workload's plan as /v1/plans shows it, with its database's part.
type seen struct {
	policy.WorkloadPlan
	at        time.Time
	database  policy.DatabasePlan
	databases []policy.DatabasePlan // of its group
}

// server is the account of the limit of the server as a whole; empty where it is
// unknown.
func (p seen) server() policy.ConstraintPlan {
	for _, c := range p.database.Constraints {
		if c.Name == "server" {
			return c
		}
	}
	return policy.ConstraintPlan{}
}

// sees waits for a plan.
func (s *shop) sees(what string, is func(seen) bool) seen {
	s.t.Helper()
	var p seen
	eventually(s.t, s.log, what, func() (string, bool) {
		_, body := s.get(s.t, "/v1/plans")
		var all scaler.Plans
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			s.t.Fatalf("/v1/plans: %v\n%s", err, body)
		}
		for _, plan := range all.Plans {
			w, ok := plan.Workload(orders)
			if !ok {
				continue
			}
			p = seen{WorkloadPlan: w, at: plan.At, databases: plan.Databases}
			for _, d := range plan.Databases {
				if d.ID == ordersDB {
					p.database = d
				}
			}
			return body, is(p)
		}
		return body, false
	})
	return p
}

// unknown is a database whose reading can't be used because of something.
func unknown(because string) func(seen) bool {
	return func(p seen) bool { return strings.Contains(p.database.Unknown, because) && p.database.Unknown != "" }
}

// asks is a plan that knows that the queue asks for n replicas.
func asks(n int) func(seen) bool {
	return func(p seen) bool { return p.Demand.Known && p.Demand.Backlog == n }
}

// decided holds a plan against what it has to say.
func (s *shop) decided(p seen, target int, because policy.Reason) {
	s.t.Helper()
	if p.Target != target || p.Reason != because {
		s.t.Errorf("the target is %d because of %s (%s), want %d because of %s", p.Target, p.Reason, p.Sentence, target, because)
	}
}

// lacks waits until /metrics has no line that begins so.
func (s *shop) lacks(beginning string) {
	s.t.Helper()
	eventually(s.t, s.log, "no metric "+beginning, func() (string, bool) {
		_, all := s.get(s.t, "/metrics")
		return all, !strings.Contains("\n"+all, "\n"+beginning)
	})
}

// counts waits until a counter is above a number, and returns it.
func (s *shop) counts(series string, above float64) (value float64) {
	s.t.Helper()
	eventually(s.t, s.log, fmt.Sprintf("%s above %v", series, above), func() (string, bool) {
		_, all := s.get(s.t, "/metrics")
		value = 0
		for line := range strings.Lines(all) {
			if rest, ok := strings.CutPrefix(line, series+" "); ok {
				if _, err := fmt.Sscan(rest, &value); err != nil {
					s.t.Fatalf("%s: %v", line, err)
				}
			}
		}
		return all, value > above
	})
	return value
}

// limitedBy waits until /metrics names what limits the workload.
func (s *shop) limitedBy(reason policy.Reason) {
	s.t.Helper()
	s.shows(fmt.Sprintf(`headroom_workload_limited{namespace="shop",reason=%q,workload="order-workers"} 1`, reason))
}

// active asks whether KEDA may go from zero to one, and must not go to zero.
func (s *shop) active(want bool) {
	s.t.Helper()
	answer, err := s.keda.IsActive(s.t.Context(), ask(orders))
	if err != nil || answer.GetResult() != want {
		s.t.Errorf("IsActive: got %v, %v, want %t", answer, err, want)
	}
}

// fails waits until KEDA gets an error in place of a value, so that its fallback
// applies.
func (s *shop) fails(words string) {
	s.t.Helper()
	eventually(s.t, s.log, "an error about "+words, func() (string, bool) {
		answer, err := s.keda.GetMetrics(s.t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
		return fmt.Sprint(answer, err), status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), words)
	})
}

// told is what KEDA heard over a time.
type told struct {
	values      int
	least, most float64 // infinite where there was no value
	awoken      bool    // whether it was ever active
	problems    []error // other than that there is no value at present
	median      time.Duration
}

// listen asks again and again, as KEDA does, until what it returns is called.
func (s *shop) listen() (stop func() told) {
	keda, heard := s.keda, told{least: math.Inf(1), most: math.Inf(-1)}
	ctx, cancel := context.WithCancel(context.Background())
	var took []time.Duration
	var done sync.WaitGroup
	once := func() {
		began := time.Now()
		answer, err := keda.GetMetrics(context.Background(), &pb.GetMetricsRequest{ScaledObjectRef: ask(orders)})
		took = append(took, time.Since(began))
		switch {
		case err == nil && len(answer.GetMetricValues()) != 1:
			err = fmt.Errorf("expected one value, found %v", answer)
		case err == nil:
			value := answer.GetMetricValues()[0].GetMetricValueFloat()
			heard.values++
			heard.least, heard.most = min(heard.least, value), max(heard.most, value)
		case status.Code(err) == codes.Unavailable:
			err = nil
		}
		activity, errActive := keda.IsActive(context.Background(), ask(orders))
		heard.awoken = heard.awoken || activity.GetResult()
		if status.Code(errActive) == codes.Unavailable {
			errActive = nil
		}
		if err := errors.Join(err, errActive); err != nil {
			heard.problems = append(heard.problems, err)
		}
	}
	done.Go(func() {
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for {
			once()
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	})
	end := sync.OnceFunc(func() {
		cancel()
		done.Wait()
	})
	s.t.Cleanup(end)
	return func() told {
		end()
		slices.Sort(took)
		heard.median = took[len(took)/2]
		return heard
	}
}

// heard holds what KEDA heard against bounds.
func (s *shop) heard(h told, least, most float64) {
	s.t.Helper()
	if h.values == 0 || h.least < least || h.most > most {
		s.t.Errorf("KEDA heard %d values from %v to %v, want %v to %v", h.values, h.least, h.most, least, most)
	}
	for _, err := range h.problems {
		s.t.Error(err)
	}
}

// history returns what was recorded from a time on. Every decision that changes
// what anybody is told is recorded.
func (s *shop) history(from time.Time) []recording.Record {
	s.t.Helper()
	reader, err := recording.OpenReader(s.options.RecordingDir)
	if err != nil {
		s.t.Fatal(err)
	}
	var records []recording.Record
	for r, err := range reader.Records(from, time.Time{}) {
		if damage, ok := errors.AsType[*recording.DamageError](err); ok {
			s.t.Logf("a record is being written: %v", damage)
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if r.Dropped > 0 {
			s.t.Errorf("%d decisions were not recorded", r.Dropped)
		}
		records = append(records, r.Clone())
	}
	return records
}

// trusts waits for the first decision that trusts another server than the one
// before, behind the database's name. It must rest on a second reading that began
// after the first was seen; and until then nobody may have been told of more
// than was there. The queue has to ask for more than that all along.
func (s *shop) trusts(from time.Time, before string, there int) {
	s.t.Helper()
	eventually(s.t, s.log, "a decision on another server than "+before, func() (string, bool) {
		records := s.history(from)
		for _, r := range records {
			reading, memory, outcome := r.Snapshot.Databases[ordersDB], r.Ledger.Databases[ordersDB], r.Outcomes[orders]
			data, _ := reading.Last()
			if data.Server == before || data.Full || data.ReadOnly {
				continue
			}
			if outcome.Reason == policy.DatabaseUnknown {
				if outcome.Target > there {
					s.t.Errorf("at %s a target of %d on an unknown database, with %d there", r.At, outcome.Target, there)
				}
				continue
			}
			if memory.Next != data.Server || !reading.Began().After(memory.Changed) {
				s.t.Errorf("at %s server %q was trusted by a reading of %s, though another was known before: %q, then %q seen at %s",
					r.At, data.Server, reading.Began(), memory.Server, memory.Next, memory.Changed)
			}
			return "", true
		}
		return fmt.Sprintf("%d records", len(records)), false
	})
}
