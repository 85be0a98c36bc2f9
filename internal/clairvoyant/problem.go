package clairvoyant

import (
	"time"

	"github.com/keda-headroom/headroom/internal/forecast"
)

// Problem is a trace and what there is to serve it with.
type Problem struct {
	// Messages are in order of their arrival.
	Messages []forecast.Message
	// Length is the trace's.
	Length time.Duration
	// Objective is how old a message may be when it is done. More than 0.
	Objective time.Duration
	// Slots is how many messages a pod works on at once. 1 or more.
	Slots int
	// MinReplicas run all the time and are ready at the beginning; MaxReplicas is the
	// most pods that there may ever be.
	MinReplicas, MaxReplicas int
	// StartUp is from a pod's creation until it works.
	StartUp time.Duration
}

// Of returns the problem of a world, with as many pods as the databases carry.
func Of(w forecast.World) Problem {
	return Problem{
		Messages: w.Messages(), Length: w.Arrivals.Length(), Objective: w.Objective, Slots: w.Concurrency,
		MinReplicas: w.MinReplicas, MaxReplicas: max(w.Budget(), w.MinReplicas), StartUp: w.StartUp,
	}
}

// Bounds are what nobody can beat.
type Bounds struct {
	// Pods is the most that there may ever be.
	Pods int `json:"pods"`
	// Kept is how many messages some choice of replicas could finish in time: exact.
	Kept      int     `json:"kept"`
	KeptShare float64 `json:"keptShare"`
	// PodHours is a lower bound of what it costs to keep all of those and to finish all
	// messages; PeakPods the least number of pods that there must be at some time.
	PodHours float64 `json:"podHours"`
	PeakPods int     `json:"peakPods"`
}

// Bounds computes both, of what [Problem.Reach] returned.
func (p Problem) Bounds(reach []bool, kept int) Bounds {
	b := Bounds{Pods: p.MaxReplicas, Kept: kept}
	if len(p.Messages) > 0 {
		b.KeptShare = float64(kept) / float64(len(p.Messages))
	}
	b.PeakPods = p.peak(kept)
	b.PodHours = p.Spend(reach, b.PeakPods).Hours()
	return b
}
