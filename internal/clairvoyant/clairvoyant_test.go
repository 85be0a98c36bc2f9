package clairvoyant_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/clairvoyant"
	"github.com/keda-headroom/headroom/internal/forecast"
)

const unit = time.Second

// small draws a problem whose times are whole units.
func small(t *rapid.T, longest, mostSlots, mostStartUp int) clairvoyant.Problem {
	p := clairvoyant.Problem{
		Length:      4 * unit,
		Objective:   time.Duration(rapid.IntRange(1, 4).Draw(t, "objective")) * unit,
		Slots:       rapid.IntRange(1, mostSlots).Draw(t, "slots"),
		MinReplicas: rapid.IntRange(0, 1).Draw(t, "min"),
		StartUp:     time.Duration(rapid.IntRange(0, mostStartUp).Draw(t, "start-up")) * unit,
	}
	p.MaxReplicas = rapid.IntRange(max(1, p.MinReplicas), 2).Draw(t, "max")
	at := 0
	for range rapid.IntRange(1, 5).Draw(t, "messages") {
		at = min(at+rapid.IntRange(0, 2).Draw(t, "after"), 3)
		p.Messages = append(p.Messages, forecast.Message{At: time.Duration(at) * unit, Takes: time.Duration(rapid.IntRange(1, longest).Draw(t, "takes")) * unit})
	}
	return p
}

// horizon is how many units are searched: enough to finish anything small.
const horizon = 8

// played is what became of one choice of replicas.
type played struct {
	kept, done int
	inTime     []bool
	podTime    time.Duration
}

// podState is a pod of the search: when it works, when each slot is free, and
// whether it has to go.
type podState struct {
	ready int
	free  []int
	going bool
}

// play lets replicas be what they are chosen to be in each unit of time. It is
// written to be simple, and shares nothing with what it judges.
func play(p clairvoyant.Problem, replicas []int) (out played) {
	var pods []*podState
	out.inTime = make([]bool, len(p.Messages))
	next, end := 0, int(p.Length/unit)
	for n := 0; n < p.MinReplicas; n++ {
		pods = append(pods, &podState{free: make([]int, p.Slots)})
	}
	for now := 0; now < end || next < len(p.Messages) || len(pods) > p.MinReplicas; now++ {
		want := p.MinReplicas
		if now < len(replicas) {
			want = replicas[now]
		} else if next < len(p.Messages) {
			return out // what the search chose is over, and there is work left
		}
		busy := func(pd *podState) (n int) {
			for _, f := range pd.free {
				if f > now {
					n++
				}
			}
			return n
		}
		var staying []*podState
		var kept []*podState
		for _, pd := range pods {
			if pd.going && busy(pd) == 0 {
				continue
			}
			kept = append(kept, pd)
			if !pd.going {
				staying = append(staying, pd)
			}
		}
		pods = kept
		for len(staying) < want && len(pods) < p.MaxReplicas {
			pd := &podState{ready: now + int(p.StartUp/unit), free: make([]int, p.Slots)}
			pods, staying = append(pods, pd), append(staying, pd)
		}
		for len(staying) > want { // whoever has the least to do goes
			least := 0
			for i, pd := range staying {
				if busy(pd) < busy(staying[least]) {
					least = i
				}
			}
			staying[least].going = true
			if busy(staying[least]) == 0 {
				for i, pd := range pods {
					if pd == staying[least] {
						pods = append(pods[:i], pods[i+1:]...)
						break
					}
				}
			}
			staying = append(staying[:least], staying[least+1:]...)
		}
		for next < len(p.Messages) && p.Messages[next].At <= time.Duration(now)*unit {
			slot := (*int)(nil)
			for _, pd := range staying {
				for i := range pd.free {
					if pd.ready <= now && pd.free[i] <= now && slot == nil {
						slot = &pd.free[i]
					}
				}
			}
			if slot == nil {
				break
			}
			*slot = now + int(p.Messages[next].Takes/unit)
			end = max(end, *slot)
			if time.Duration(*slot)*unit-p.Messages[next].At <= p.Objective {
				out.inTime[next] = true
				out.kept++
			}
			out.done++
			next++
		}
		if now < end || next < len(p.Messages) {
			out.podTime += time.Duration(len(pods)) * unit
		}
	}
	return out
}

// search tries every choice of replicas in every unit of time.
func search(p clairvoyant.Problem, visit func(played)) {
	replicas := make([]int, horizon)
	var choose func(i int)
	choose = func(i int) {
		if i == len(replicas) {
			visit(play(p, replicas))
			return
		}
		for n := p.MinReplicas; n <= p.MaxReplicas; n++ {
			replicas[i] = n
			choose(i + 1)
		}
	}
	choose(0)
}

// best is the result of a search: the most messages in time, and the least pod time
// among those choices that keep all of reach and finish everything.
func best(p clairvoyant.Problem, reach []bool) (kept int, podTime time.Duration) {
	podTime = math.MaxInt64
	search(p, func(o played) {
		kept = max(kept, o.kept)
		if o.done < len(p.Messages) {
			return
		}
		for i, r := range reach {
			if r && !o.inTime[i] {
				return
			}
		}
		podTime = min(podTime, o.podTime)
	})
	return kept, podTime
}

// Whatever the lengths, slots and start-up: the number is what the search finds, and
// the pod time is not above it.
func TestBoundsAgainstSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := small(t, 3, 2, 2)
		reach, n := p.Reach()
		b := p.Bounds(reach, n)
		kept, podTime := best(p, reach)
		if kept != n || b.Kept != n {
			t.Fatalf("%+v: %d could be kept, a search keeps %d", p, n, kept)
		}
		if spend := p.Spend(reach, b.PeakPods); spend > podTime {
			t.Fatalf("%+v: at least %v, a search spends %v", p, spend, podTime)
		}
	})
}

// Where every message takes one unit and can be kept, and pods have one slot and start
// at once, the pod time is exact: a late message that stands before others in the queue
// takes a pod that the bound doesn't count.
func TestSpendIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := small(t, 1, 1, 0)
		p.Length = horizon * unit // nothing is left when the trace ends
		reach, n := p.Reach()
		_, podTime := best(p, reach)
		if spend := p.Spend(reach, p.Bounds(reach, n).PeakPods); spend > podTime || n == len(p.Messages) && spend != podTime {
			t.Fatalf("%+v: at least %v, a search spends %v", p, spend, podTime)
		}
	})
}

// The planner's choice is one that can be made: it keeps no more than can be kept, and
// where it keeps all of it, it spends no less than must be spent.
func TestPlannerIsWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := clairvoyant.Problem{
			Length: 20 * time.Minute, Objective: time.Duration(rapid.IntRange(10, 120).Draw(t, "objective")) * time.Second,
			Slots: rapid.IntRange(1, 5).Draw(t, "slots"), MinReplicas: rapid.IntRange(0, 2).Draw(t, "min"),
			StartUp: time.Duration(rapid.IntRange(0, 30).Draw(t, "start-up")) * time.Second,
		}
		p.MaxReplicas = p.MinReplicas + rapid.IntRange(1, 8).Draw(t, "more")
		at := time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "messages") {
			at = min(at+time.Duration(rapid.IntRange(0, 8000).Draw(t, "after"))*time.Millisecond, p.Length-1)
			p.Messages = append(p.Messages, forecast.Message{At: at, Takes: time.Duration(rapid.IntRange(1, 20000).Draw(t, "takes")) * time.Millisecond})
		}
		reach, kept := p.Reach()
		plan := p.Plan(reach)
		if plan.Kept > kept {
			t.Fatalf("planned to keep %d of %d that can be kept", plan.Kept, kept)
		}
		if b := p.Bounds(reach, kept); plan.Kept == kept && plan.PodHours < b.PodHours-1e-9 {
			t.Fatalf("planned to spend %v pod hours, at least %v are needed", plan.PodHours, b.PodHours)
		}
	})
}

// Steady traffic: four pods of work and a bit, and a plan that is close to it.
func TestPlannerIsClose(t *testing.T) {
	p := clairvoyant.Problem{Length: time.Hour, Objective: 2 * time.Minute, Slots: 5, MinReplicas: 1, MaxReplicas: 20, StartUp: 10 * time.Second}
	for at := time.Duration(0); at < p.Length; at += 95 * time.Millisecond {
		p.Messages = append(p.Messages, forecast.Message{At: at, Takes: 2 * time.Second})
	}
	reach, kept := p.Reach()
	plan, b := p.Plan(reach), p.Bounds(reach, kept)
	if plan.Kept != kept || plan.PodHours > 1.1*b.PodHours {
		t.Errorf("planned to keep %d of %d for %v pod hours, of at least %v", plan.Kept, kept, plan.PodHours, b.PodHours)
	}
}
