package forecast

import (
	"errors"
	"fmt"
	"time"

	"github.com/keda-headroom/headroom/internal/arrivals"
	"github.com/keda-headroom/headroom/metrics"
)

// World is everything but the autoscaler.
type World struct {
	Arrivals arrivals.Trace
	// Scale multiplies every count. More than 0.
	Scale   float64
	Service Service
	Seed    uint64
	// Concurrency is how many messages a pod works on at once. 1 or more.
	Concurrency int
	// StartUp is from a pod's creation until it works; Grace is how long a pod that
	// has to go may take to finish.
	StartUp, Grace time.Duration
	// Servers are what each pod connects to.
	Servers []Server
	// MinReplicas and MaxReplicas are the ScaledObject's bounds; MinReplicas run and
	// are ready when the trace begins.
	MinReplicas, MaxReplicas int
	// Objective is how old a message may be when it is done; 0 is none.
	Objective time.Duration
	// SyncOffset is when the HPA syncs first, PublishDelay how long after its end
	// CloudWatch publishes a minute.
	SyncOffset, PublishDelay time.Duration
	// Patience is for how long after the trace's end the queue may take to drain. More
	// than 0.
	Patience time.Duration
}

// Server is a database that every pod opens PerPod connections to.
type Server struct {
	ID     metrics.ID
	Limit  int // connections of ordinary roles
	PerPod int // 1 or more
	// Reserve is what the policy keeps free of Limit: for the bounds, and for the
	// static cap.
	Reserve int
	// Others are the connections that others want, from one time to the next; the
	// first is at 0.
	Others []Level
}

// Level is a number of connections from At on.
type Level struct {
	At          time.Duration
	Connections int
}

// mostMessages is how many messages can be simulated one by one.
const mostMessages = 200_000_000

// Check reports everything that can't be right about a world.
func (w World) Check() error {
	var all []error
	fail := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if n := w.Arrivals.Total() * w.Scale; !(w.Scale > 0) || n > mostMessages {
		fail("scale: expected more than 0, and at most %d messages in all, found %v and so %.0f messages", mostMessages, w.Scale, n)
	}
	if w.Service.Mean <= 0 {
		fail("service: expected a mean of more than 0, found %s", w.Service.Mean)
	}
	if w.Concurrency < 1 || w.Concurrency > 10_000 {
		fail("concurrency: expected 1 to 10000, found %d", w.Concurrency)
	}
	if w.StartUp < 0 || w.Grace < 0 || w.SyncOffset < 0 || w.PublishDelay < 0 || w.Objective < 0 || w.Patience <= 0 {
		fail("durations: expected 0 or more, and a patience of more than 0")
	}
	if w.MinReplicas < 0 || w.MaxReplicas < max(1, w.MinReplicas) || w.MaxReplicas > 100_000 {
		fail("replicas: expected a minimum of 0 or more and a maximum of at least 1, the minimum, and at most 100000, found %d and %d", w.MinReplicas, w.MaxReplicas)
	}
	for _, s := range w.Servers {
		if s.Limit < 1 || s.PerPod < 1 || s.Reserve < 0 || len(s.Others) == 0 || s.Others[0].At != 0 {
			fail("database %s: expected a limit and connections per pod of 1 or more, a reserve of 0 or more, and others from the beginning on", s.ID)
		}
	}
	return errors.Join(all...)
}

// fewestOthers and mostOthers are what others want at their quietest and at their
// loudest.
func (s Server) fewestOthers() int {
	n := s.Others[0].Connections
	for _, l := range s.Others {
		n = min(n, l.Connections)
	}
	return n
}

func (s Server) mostOthers() int {
	n := 0
	for _, l := range s.Others {
		n = max(n, l.Connections)
	}
	return n
}

// Budget is the most pods that there may ever be: those that fit on every server
// beside its reserve when others are at their quietest, within the bounds.
func (w World) Budget() int { return w.fit(Server.fewestOthers) }

// SafeCap is the largest fixed maximum that never exceeds a budget: nobody knows it
// beforehand. It is at least 1, as a ScaledObject's maximum is.
func (w World) SafeCap() int { return max(1, w.MinReplicas, w.fit(Server.mostOthers)) }

func (w World) fit(others func(Server) int) int {
	n := w.MaxReplicas
	for _, s := range w.Servers {
		n = min(n, max(0, s.Limit-s.Reserve-others(s))/s.PerPod)
	}
	return max(n, 0)
}

// Message is one message: when it comes, and how long it takes.
type Message struct {
	At, Takes time.Duration
}

// Messages are all that come, in order.
func (w World) Messages() []Message {
	out := make([]Message, 0, int(w.Arrivals.Total()*w.Scale)+1)
	stream := w.Arrivals.Stream(w.Scale, w.Seed)
	for n := uint64(0); ; n++ {
		at, ok := stream.Next()
		if !ok {
			return out
		}
		out = append(out, Message{At: at, Takes: w.Service.At(w.Seed, n)})
	}
}
