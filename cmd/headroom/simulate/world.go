package simulate

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/internal/databaselimits"
	"github.com/keda-headroom/headroom/internal/forecast"
	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// patience is for how long after the trace's end the queue may take to drain.
const patience = 24 * time.Hour

// plan is what is to be simulated.
type plan struct {
	world    forecast.World
	group    policy.Group
	workload policy.Workload
	notes    []string
}

func (o Options) plan() (p plan, err error) {
	set, err := policyfiles.Load(o.Policies)
	if err != nil {
		return plan{}, err
	}
	if p.workload, err = o.choose(set); err != nil {
		return plan{}, err
	}
	p.mode(o.Mode)
	sqs := *p.workload.SQS
	if o.MaxMessageAge > 0 {
		sqs.MaxMessageAge = o.MaxMessageAge
	}
	mean := o.SecondsPerMessage
	if mean == 0 {
		mean = sqs.SecondsPerMessage
	}
	if mean == 0 {
		return plan{}, fmt.Errorf("--seconds-per-message: expected how long a pod works on a message, as the policy of %s does not say it", p.workload.ID)
	}
	service, err := forecast.ParseService(o.Service, time.Duration(mean*float64(time.Second)))
	if err != nil {
		return plan{}, err
	}
	p.workload.SQS = &sqs
	trace, err := o.trace()
	if err != nil {
		return plan{}, err
	}
	p.world = forecast.World{
		Arrivals: trace, Scale: o.Scale, Service: service, Seed: o.Seed, Concurrency: max(1, o.Concurrency), StartUp: o.StartUp, Grace: o.Grace,
		MinReplicas: max(o.MinReplicas, p.workload.MinReplicas), MaxReplicas: o.MaxReplicas, Objective: sqs.MaxMessageAge,
		SyncOffset: time.Duration(o.Seed*7919%15) * time.Second, PublishDelay: o.PublishDelay, Patience: patience,
	}
	if o.Concurrency == 0 {
		p.world.Concurrency = max(1, sqs.Concurrency)
	}
	if most := p.workload.MaxReplicas; most != nil {
		p.world.MaxReplicas = min(p.world.MaxReplicas, *most)
	}
	if err := o.servers(&p, set, trace.Start); err != nil {
		return plan{}, err
	}
	p.group.Workloads = []policy.Workload{p.workload}
	return p, p.world.Check()
}

// mode says how the workload is simulated: one that only observes would change
// nothing.
func (p *plan) mode(mode string) {
	switch {
	case mode == "target":
		p.workload.Mode = policy.Target
	case mode == "gate":
		p.workload.Mode = policy.Gate
	case p.workload.Mode == policy.Observe:
		p.workload.Mode = policy.Target
		p.notes = append(p.notes, "the policy's mode is Observe, which changes nothing: it is simulated in mode Target")
	}
	p.workload.Stopped = false
}

func (o Options) choose(set policy.Set) (policy.Workload, error) {
	var names []string
	var found []policy.Workload
	for _, w := range set.Workloads {
		if w.SQS == nil {
			continue
		}
		names = append(names, w.ID.String())
		if o.Workload == "" || o.Workload == w.ID.String() || o.Workload == w.ID.Name {
			found = append(found, w)
		}
	}
	switch {
	case len(found) == 1 && found[0].Refusal != nil:
		return policy.Workload{}, fmt.Errorf("%s: %s", found[0].ID, found[0].Refusal.Sentence)
	case len(found) == 1:
		return found[0], nil
	case len(names) == 0:
		return policy.Workload{}, fmt.Errorf("--policy: expected a workload with a queue (sqs), found none")
	}
	return policy.Workload{}, fmt.Errorf("--workload: expected one of %s, found %q", strings.Join(names, ", "), o.Workload)
}

func (o Options) trace() (arrivals.Trace, error) {
	trace, err := readTrace(o.Trace)
	if err != nil {
		return arrivals.Trace{}, err
	}
	to := trace.Length()
	if o.To > 0 {
		to = o.To
	}
	if trace, err = trace.Cut(o.From, to); err != nil {
		return arrivals.Trace{}, fmt.Errorf("--from, --to: %w", err)
	}
	return trace, nil
}

func readTrace(path string) (arrivals.Trace, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return arrivals.Trace{}, err
	}
	trace, err := arrivals.Parse(data)
	if err != nil {
		return arrivals.Trace{}, fmt.Errorf("%s: %w", path, err)
	}
	return trace, nil
}

// servers are the workload's databases, with their limits and others.
func (o Options) servers(p *plan, set policy.Set, start time.Time) error {
	others := []forecast.Level{{Connections: o.Others}}
	if o.OthersTrace != "" {
		trace, err := readTrace(o.OthersTrace)
		if err != nil {
			return err
		}
		others = levels(trace, start)
	}
	limits, err := databaselimits.Parse(o.DatabaseLimits)
	if err != nil {
		return err
	}
	var databases []metrics.ID
	for _, u := range p.workload.Databases {
		d, _ := set.Database(u.Database) // what a workload refers to is there
		limit, known := limits.Of(d.ID)
		if !known {
			return fmt.Errorf("--database-limit: expected one for %s, found none", d.ID)
		}
		databases = append(databases, d.ID)
		p.group.Databases = append(p.group.Databases, d)
		p.world.Servers = append(p.world.Servers, forecast.Server{ID: d.ID, Limit: limit, PerPod: u.ConnectionsPerPod, Reserve: d.Reserve.Up(limit), Others: others})
	}
	if unused := limits.Unused(databases); len(unused) > 0 {
		return fmt.Errorf("--database-limit: expected databases of %s, found %q", p.workload.ID, unused[0])
	}
	return nil
}

// levels are numbers of connections over time. What was before the trace of arrivals
// counts as its beginning.
func levels(t arrivals.Trace, start time.Time) []forecast.Level {
	out := []forecast.Level{{}}
	for _, i := range t.Intervals {
		l := forecast.Level{At: t.Start.Add(i.At).Sub(start), Connections: int(i.Count)}
		if l.At <= 0 {
			l.At, out[0] = 0, forecast.Level{Connections: l.Connections}
			continue
		}
		out = append(out, l)
	}
	if t.Start.After(start) {
		out[0].Connections = int(t.Intervals[0].Count)
	}
	return out
}
