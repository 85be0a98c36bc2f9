package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/keda-headroom/headroom/internal/clairvoyant"
	"github.com/keda-headroom/headroom/internal/forecast"
)

// ErrBelow is returned where fewer messages are kept than --fail-below-kept asks for.
// It has been written; it has nothing to add.
var ErrBelow = errors.New("")

// Report is what became of the trace, by contender.
type Report struct {
	Workload string `json:"workload"`
	Mode     string `json:"mode"`
	Trace    struct {
		File     string    `json:"file"`
		Start    time.Time `json:"start"`
		Seconds  float64   `json:"seconds"`
		Messages int       `json:"messages"`
	} `json:"trace"`
	Service     forecast.Service `json:"service"`
	Concurrency int              `json:"concurrency"`
	Seed        uint64           `json:"seed"`
	// ObjectiveSeconds is how old a message may be when it is done; 0 is none.
	ObjectiveSeconds float64 `json:"objectiveSeconds"`
	// Bounds are what nobody can beat within the databases' budgets; nil without an
	// objective.
	Bounds *clairvoyant.Bounds `json:"bounds,omitempty"`
	// Planner is what somebody came to who knew all that would come; nil without an
	// objective.
	Planner    *clairvoyant.Planned `json:"planner,omitempty"`
	Contenders []Contender          `json:"contenders"`
	Notes      []string             `json:"notes,omitempty"`
	// Faster is how many times faster than real time the contenders were played, all
	// together.
	Faster float64 `json:"faster"`
}

// Contender is what became of it with one way to choose replicas.
type Contender struct {
	forecast.Outcome
	// OfReachable is the share of the messages that could be kept which were; Relative
	// is the pod hours in units of the bound's. 0 where there is no bound.
	OfReachable float64 `json:"ofReachable,omitempty"`
	Relative    float64 `json:"podHoursRelative,omitempty"`
	// RelativeToPlanner is the pod hours in units of the planner's.
	RelativeToPlanner float64 `json:"podHoursRelativeToPlanner,omitempty"`
	// OverBudget says that more pods ran than the databases carry beside their
	// reserves: the bounds are not for it.
	OverBudget bool `json:"overBudget"`
	Dollars    struct {
		Autoscaler float64 `json:"autoscaler"`
		Workers    float64 `json:"workers"`
		Pods       float64 `json:"pods"`
	} `json:"dollars"`
}

// Run simulates and writes the report. It returns [ErrBelow] where the policy keeps
// too few messages.
func Run(ctx context.Context, o Options) error {
	r, err := o.report(ctx)
	if err != nil {
		return err
	}
	text, err := render(r, o.Output)
	if err != nil {
		return err
	}
	if o.OutputFile == "" {
		_, err = o.Out.Write(text)
	} else {
		err = os.WriteFile(o.OutputFile, text, 0o644) //nolint:gosec // a report, for whoever may read the directory
	}
	if err != nil {
		return err
	}
	if r.Bounds != nil && 100*r.Contenders[0].OfReachable < o.FailBelowKept {
		return ErrBelow
	}
	return nil
}

func (o Options) report(ctx context.Context) (Report, error) {
	p, err := o.plan()
	if err != nil {
		return Report{}, err
	}
	if o.FailBelowKept > 0 && p.world.Objective == 0 {
		return Report{}, errors.New("--fail-below-kept: expected an objective, from --max-message-age or the policy's maxMessageAge, found none")
	}
	r := Report{
		Workload: p.workload.ID.String(), Mode: string(p.workload.Mode), Service: p.world.Service, Concurrency: p.world.Concurrency, Seed: o.Seed,
		ObjectiveSeconds: p.world.Objective.Seconds(), Notes: p.notes,
	}
	r.Trace.File, r.Trace.Start, r.Trace.Seconds = o.Trace, p.world.Arrivals.Start, p.world.Arrivals.Length().Seconds()
	if p.world.Objective > 0 {
		problem := clairvoyant.Of(p.world)
		reach, kept := problem.Reach()
		bounds, planned := problem.Bounds(reach, kept), problem.Plan(reach)
		r.Bounds, r.Planner = &bounds, &planned
	}
	began, simulated := o.now(), 0.0
	for _, c := range p.contenders() {
		out, err := forecast.Run(ctx, p.world, c)
		if err != nil {
			return Report{}, err
		}
		simulated += out.SimulatedSeconds
		r.Trace.Messages = int(out.Messages)
		r.Contenders = append(r.Contenders, o.judge(out, r, p.world.Budget()))
	}
	if took := o.now().Sub(began).Seconds(); took > 0 {
		r.Faster = simulated / took
	}
	return r, nil
}

// contenders are the policy, and what one would do without it.
func (p plan) contenders() []forecast.Contender {
	length := p.workload.SQS.MessagesPerPod
	limit := p.world.SafeCap()
	return []forecast.Contender{
		{Name: "headroom", Headroom: &p.group},
		{Name: "aws-sqs-queue", KEDA: &forecast.KEDA{QueueLength: length, MaxReplicas: p.world.MaxReplicas}},
		{Name: fmt.Sprintf("capped at %d", limit), KEDA: &forecast.KEDA{QueueLength: length, MaxReplicas: limit}},
	}
}

func (o Options) judge(out forecast.Outcome, r Report, budget int) Contender {
	c := Contender{Outcome: out, OverBudget: out.PeakPods > budget}
	if bounds := r.Bounds; bounds != nil {
		if bounds.Kept > 0 {
			c.OfReachable = float64(out.Kept) / float64(bounds.Kept)
		}
		if bounds.PodHours > 0 {
			c.Relative = out.PodHours / bounds.PodHours
		}
		if r.Planner.PodHours > 0 {
			c.RelativeToPlanner = out.PodHours / r.Planner.PodHours
		}
	}
	c.Dollars.Autoscaler, c.Dollars.Workers = out.Calls.Dollars()
	c.Dollars.Pods = out.PodHours * o.PodHourCost
	return c
}

func render(r Report, output string) ([]byte, error) {
	switch output {
	case "json":
		text, err := json.MarshalIndent(r, "", "  ")
		return append(text, '\n'), err
	case "html":
		return page(r)
	}
	return []byte(table(r)), nil
}
