package scenario

import (
	"slices"
	"strings"
)

// Action is what a step of the timeline does.
type Action string

// The actions, and the fields that they take besides `at`.
const (
	// Burst sends messages to the queues, spread over For: as many as the fleet
	// has, or Messages.
	Burst Action = "burst"
	// Spike makes the other application hold Connections more, for For.
	Spike Action = "spike"
	// Leak makes the other application keep one more connection every Every,
	// until there are Connections of them. They are never closed.
	Leak Action = "leak"
	// Rollout changes the fleets' pod template, so that all pods are replaced.
	Rollout Action = "rollout"
	// Failover cuts off all sessions and goes on with a server of another
	// MaxConnections at the same address.
	Failover Action = "failover"
	// Restart stops Component for For and starts it again.
	Restart Action = "restart"
	// LoseNode makes a node vanish whose pods and their connections go on for
	// For, unseen.
	LoseNode Action = "loseNode"
)

// The components that Restart knows.
const (
	KEDA      = "keda"      // its operator and its metrics adapter
	Headroom  = "headroom"  // the service
	APIServer = "apiServer" // kube-apiserver
)

// Step is something that happens at a time.
type Step struct {
	At Duration `yaml:"at"` // from the beginning
	Do Action   `yaml:"do"`

	Fleet          string   `yaml:"fleet"` // name of a fleet; "" is all of them
	Messages       int      `yaml:"messages"`
	Connections    int      `yaml:"connections"`
	MaxConnections int      `yaml:"maxConnections"`
	Component      string   `yaml:"component"`
	For            Duration `yaml:"for"`
	Every          Duration `yaml:"every"`
}

// concerns reports whether a step is about a fleet of [Scenario.Expand].
func (s Step) concerns(f Fleet) bool {
	return s.Fleet == "" || s.Fleet == f.Name || strings.HasPrefix(f.Name, s.Fleet+"-")
}

// size is how many messages a burst sends to a fleet.
func (s Step) size(f Fleet) int {
	if s.Messages > 0 {
		return s.Messages
	}
	return f.Messages
}

// Sends is how many messages a burst sends to a fleet of [Scenario.Expand].
func (s Step) Sends(f Fleet) int {
	if s.Do != Burst || !s.concerns(f) {
		return 0
	}
	return s.size(f)
}

// Concerns reports whether a step is about a fleet of [Scenario.Expand].
func (s Step) Concerns(f Fleet) bool { return s.concerns(f) }

// fields are what a step may have besides at and do, by action; those with a
// star must be there.
var fields = map[Action][]string{
	Burst:    {"fleet", "messages", "for"},
	Spike:    {"connections*", "for*"},
	Leak:     {"connections*", "every*"},
	Rollout:  {"fleet"},
	Failover: {"maxConnections*"},
	Restart:  {"component*", "for*"},
	LoseNode: {"for*"},
}

func actions() []string {
	names := make([]string, 0, len(fields))
	for a := range fields {
		names = append(names, string(a))
	}
	slices.Sort(names)
	return names
}

// given are the names of the fields that a step has.
func (s Step) given() map[string]bool {
	return map[string]bool{
		"fleet": s.Fleet != "", "messages": s.Messages != 0, "connections": s.Connections != 0,
		"maxConnections": s.MaxConnections != 0, "component": s.Component != "", "for": s.For != 0, "every": s.Every != 0,
	}
}
