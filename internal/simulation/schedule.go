package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/keda-headroom/headroom/policy"
)

// Schedule is everything that is random about a run, drawn before it starts.
type Schedule struct {
	Seed   uint64
	Length time.Duration // of the eventful part; a calm part follows
	Calm   time.Duration

	Limit, Reserve int
	RoleLimit      int // of the workers' role, 0 for none
	Window         time.Duration
	ByLogin        bool // the monitor can't see addresses
	TwoNames       bool // half of the fleets reach the server by another name

	Fleets []FleetSchedule
	Events []Event

	ReadEvery   time.Duration
	ReadTakes   time.Duration
	WatchLag    time.Duration // the most that the state of pods is behind
	PatchTakes  time.Duration
	PatchFails  float64       // of the writes to pods that never arrive
	PatchLate   float64       // of those that take up to longestPatch
	Replicas    int           // of Headroom
	ActTakes    time.Duration // from the HPA's query to its write
	OthersStart int
}

// FleetSchedule is one workload of a run.
type FleetSchedule struct {
	Mode         policy.Mode
	Start        int // replicas that run when the run begins
	Min          int
	Priority     int
	Declared     int // connections per pod by policy
	Opens        int // connections that a pod really opens
	Lazy         bool
	Sheds        bool
	Surge        int // percent
	StartDelay   time.Duration
	Grace        time.Duration
	SyncOffset   time.Duration
	ToleranceMil int
	Stabilize    time.Duration // of the HPA
	Rate         float64       // messages per second and pod
	PerPod       int64
}

// EventKind is something that happens to the world.
type EventKind int

// What can happen.
const (
	OthersMove    EventKind = iota // others go to N connections
	Burst                          // N messages arrive at fleet F
	Drain                          // fleet F's queue is emptied
	ForceDelete                    // a pod of fleet F vanishes from the API, its process lives for For
	Evict                          // a pod of fleet F is deleted with its grace
	Rollout                        // fleet F gets a new pod template
	DatabaseAway                   // the monitor can't reach the server for For
	QueueAway                      // the queue of fleet F can't be read for For
	APIAway                        // the Kubernetes API can't be reached for For
	Restart                        // the leader is killed, comes back after For, and keeps what it wrote
	RestartBare                    // the same, and that is lost too
	Pause                          // the leader stops in the middle of what it does, for For
	MonitorKicked                  // the monitor's connection is closed and must be opened anew
	ServerRestart                  // all connections end, the limit becomes N
	Demoted                        // the monitor is led to a replica for For
	eventKinds
)

// Event is something that happens at a time after the start.
type Event struct {
	At    time.Duration
	Kind  EventKind
	Fleet int
	N     int
	For   time.Duration
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// Draw draws a schedule. mode "" mixes the modes.
func Draw(seed uint64, mode policy.Mode) Schedule {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	between := func(low, high int) int { return low + r.IntN(high-low+1) }
	s := Schedule{
		Seed: seed, Length: seconds(between(60, 120)), Calm: seconds(100),
		Limit: between(20, 80), Reserve: between(1, 6),
		Window: seconds(between(5, 25)), ByLogin: r.IntN(5) == 0, TwoNames: r.IntN(5) == 0,
		ReadEvery: time.Duration(between(1, 3)) * time.Second, ReadTakes: time.Duration(between(0, 1000)) * time.Millisecond,
		// Some API servers answer at once: then the next decision knows, and the database
		// has not been read since.
		WatchLag: time.Duration(between(-1000, 2000)) * time.Millisecond, PatchTakes: time.Duration(between(-1000, 1500)) * time.Millisecond,
		PatchFails: []float64{0, 0, 0.2}[r.IntN(3)], ActTakes: time.Duration(between(0, 3000)) * time.Millisecond,
	}
	s.WatchLag, s.PatchTakes = max(0, s.WatchLag), max(0, s.PatchTakes)
	s.Replicas = 1 + r.IntN(2)
	s.PatchLate = []float64{0, 0.1, 0.3}[r.IntN(3)]
	s.OthersStart = between(1, s.Limit/3)
	if r.IntN(4) == 0 {
		s.RoleLimit = between(s.Limit/4, s.Limit)
	}
	fleets := between(1, 3)
	for range fleets {
		declared := between(1, 6)
		f := FleetSchedule{
			Mode: mode, Min: []int{0, 0, 0, 1}[r.IntN(4)], Priority: []int{0, 0, 10}[r.IntN(3)],
			Declared: declared, Opens: declared, Lazy: r.IntN(2) == 0,
			Surge: []int{0, 0, 25, 100}[r.IntN(4)], StartDelay: time.Duration(between(0, 6000)) * time.Millisecond,
			Grace: time.Duration(between(500, 12000)) * time.Millisecond, SyncOffset: time.Duration(between(0, 14999)) * time.Millisecond,
			ToleranceMil: []int{0, 0, 100}[r.IntN(3)], Rate: 0.2 + 2*r.Float64(), PerPod: int64(between(1, 20)),
		}
		if mode == "" {
			f.Mode = []policy.Mode{policy.Target, policy.Gate}[r.IntN(2)]
		}
		f.Sheds = f.Mode == policy.Gate && r.IntN(4) == 0
		if r.IntN(4) == 0 {
			f.Stabilize = seconds(between(5, 30))
		}
		if s.ByLogin {
			f.Lazy = false // without addresses a pool that stays small can't be told from a ghost
		} else if r.IntN(8) == 0 {
			f.Opens = declared + between(1, 3)
		}
		f.Start = min(r.IntN(4), max(0, (s.Limit-s.Reserve-s.OthersStart)/(declared*fleets*2)))
		s.Fleets = append(s.Fleets, f)
	}
	// Some schedules have few kinds of events, and so more of each: what one kind hides
	// another shows only without it (Groce et al., "Swarm Testing", ISSTA 2012).
	kinds := r.Perm(int(eventKinds))[:between(1, int(eventKinds))]
	for range between(4, 14) {
		e := Event{At: time.Duration(r.Int64N(int64(s.Length))), Kind: EventKind(kinds[r.IntN(len(kinds))]), Fleet: r.IntN(fleets), For: seconds(between(1, 25))}
		switch e.Kind {
		case Pause:
			e.For = seconds(between(1, 40))
		case OthersMove:
			e.N = between(0, s.Limit/2)
		case Burst:
			e.N = between(10, 3000)
		case ServerRestart:
			e.N = s.Limit
			if r.IntN(2) == 0 {
				e.N = max(10, s.Limit/2)
			}
		default:
		}
		s.Events = append(s.Events, e)
	}
	s.Events = append(s.Events, Event{At: 0, Kind: Burst, Fleet: r.IntN(fleets), N: between(10, 3000)})
	return s
}
