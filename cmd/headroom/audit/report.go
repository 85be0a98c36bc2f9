package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/policy"
)

// Report is what was found.
type Report struct {
	Databases []Database `json:"databases"` // by name
	// Unplaced are fleets that KEDA or an HPA scales and whose database is not
	// known.
	Unplaced []Consumer `json:"unplaced"`
	// Notes say what was not seen, or not understood.
	Notes []string `json:"notes"`
}

// Verdict is what comes of a limit.
type Verdict string

// The verdicts.
const (
	// Fits: all that could be opened together is within the limit.
	Fits Verdict = "Fits"
	// Governed: it is not, but Headroom's targets keep it within.
	Governed Verdict = "Governed"
	// Exceeded: more can be opened than the limit allows.
	Exceeded Verdict = "Exceeded"
	// Unknown: what the database allows is not known.
	Unknown Verdict = "Unknown"
)

// Database is one database server, and who uses it.
type Database struct {
	// Name is its host, and its port where that is not the usual one; or its
	// policy's NAMESPACE/NAME where no host is known.
	Name string `json:"name"`
	// Policies are the policies that describe it.
	Policies []string `json:"policies,omitempty"`
	// Limits are what it allows; empty where that is not known.
	Limits []Limit `json:"limits"`
	// CouldOpen is the sum of its consumers' connections, in all and of those that
	// Headroom does not hold to a target; Assumed of it is only assumed.
	CouldOpen  int     `json:"couldOpen"`
	Ungoverned int     `json:"ungoverned"`
	Assumed    int     `json:"assumed"`
	Verdict    Verdict `json:"verdict"` // the worst of its limits'
	// Consumers use it, largest first.
	Consumers []Consumer `json:"consumers"`
	// Problem says why its limits could not be read.
	Problem string `json:"problem,omitempty"`
}

// Limit is one limit on a server.
type Limit struct {
	Name string `json:"name"` // "server", "role/NAME", "database/NAME"
	// Allows is the number of connections, From where it is known from.
	Allows int    `json:"allows"`
	From   string `json:"from"`
	// CouldOpen and Ungoverned are those of the consumers that it counts.
	CouldOpen  int `json:"couldOpen"`
	Ungoverned int `json:"ungoverned"`
	// InUse is how many there are now, nil where that was not read.
	InUse   *int    `json:"inUse,omitempty"`
	Verdict Verdict `json:"verdict"`

	counts func(user, database string) bool
}

// Consumer is a fleet, or a fixed number of pods, as a user of one database.
type Consumer struct {
	Object bypass.Object `json:"object"`
	// ScaledBy is the HPA that scales it, left out for what KEDA scales or nobody.
	ScaledBy string `json:"scaledBy,omitempty"`
	// Mode is that of the policy that governs it, "" for none. Held says that
	// Headroom holds it to a target, with no error in the way.
	Mode policy.Mode `json:"mode,omitempty"`
	Held bool        `json:"held,omitempty"`
	// Replicas is the most pods that there can be, and MaxFrom what says so; Surge
	// is how many a rollout adds.
	Replicas int    `json:"replicas"`
	MaxFrom  string `json:"maxFrom"`
	Surge    int    `json:"surge"`
	// PerPod is what one pod opens, PerPodFrom what says so: "assumed" if nothing.
	PerPod     int    `json:"perPod"`
	PerPodFrom string `json:"perPodFrom"`
	// Connections = (Replicas + Surge) × PerPod.
	Connections int `json:"connections"`
	// DatabaseFrom is what names the database.
	DatabaseFrom string `json:"databaseFrom,omitempty"`
	// User and Database are those of its sessions, "" where not known.
	User     string `json:"user,omitempty"`
	Database string `json:"database,omitempty"`
}

// assumed is where a number comes from that nothing says.
const assumed = "assumed"

// judge adds up the consumers of a database, and compares.
func (d *Database) judge() {
	slices.SortStableFunc(d.Consumers, func(a, b Consumer) int {
		return cmp.Or(cmp.Compare(b.Connections, a.Connections), strings.Compare(a.Object.String(), b.Object.String()))
	})
	for _, c := range d.Consumers {
		d.CouldOpen += c.Connections
		if !c.Held {
			d.Ungoverned += c.Connections
		}
		if c.PerPodFrom == assumed {
			d.Assumed += c.Connections
		}
	}
	d.Verdict = Unknown
	for i := range d.Limits {
		l := &d.Limits[i]
		for _, c := range d.Consumers {
			if l.counts != nil && !l.counts(c.User, c.Database) {
				continue
			}
			l.CouldOpen += c.Connections
			if !c.Held {
				l.Ungoverned += c.Connections
			}
		}
		switch {
		case l.Ungoverned > l.Allows:
			l.Verdict = Exceeded
		case l.CouldOpen > l.Allows:
			l.Verdict = Governed
		default:
			l.Verdict = Fits
		}
		if d.Verdict == Unknown || rank[l.Verdict] > rank[d.Verdict] {
			d.Verdict = l.Verdict
		}
	}
}

var rank = map[Verdict]int{Fits: 0, Governed: 1, Exceeded: 2}

// exceeded reports whether some database can be exceeded.
func (r Report) exceeded() bool {
	return slices.ContainsFunc(r.Databases, func(d Database) bool { return d.Verdict == Exceeded })
}

// sentences say in words what to do, of every database that needs something.
func (r Report) sentences() []string {
	var out []string
	for _, d := range r.Databases {
		switch d.Verdict {
		case Exceeded:
			worst := d.worst()
			out = append(out, fmt.Sprintf(
				"%s: its fleets could open %d connections on %s, which allows %d. Whoever comes last is refused, other applications among them. Govern its fleets (a policy with mode: Observe first, then Target), or lower maxReplicaCount or the pools until the sum fits; largest: %s.",
				d.Name, worst.Ungoverned, worst.Name, worst.Allows, d.largest()))
		case Governed:
			out = append(out, fmt.Sprintf("%s: without Headroom its fleets could open %d connections, more than it allows; governed fleets are held to their targets.", d.Name, d.CouldOpen))
		case Unknown:
			text := "what it allows is not known"
			if d.Problem != "" {
				text = "what it allows could not be read: " + strings.TrimSuffix(d.Problem, ".")
			}
			out = append(out, fmt.Sprintf("%s: %s. Its fleets could open %d connections. Give --dsn-file %s=FILE of a login that may connect, or --max-connections %s=N.", d.Name, text, d.CouldOpen, d.Name, d.Name))
		case Fits:
		}
	}
	if n := len(r.Unplaced); n > 0 {
		out = append(out, fmt.Sprintf(
			"%d scaled fleet(s) name no database in their environment: they use none, or take its name from a Secret (--read-secrets) or a file (--assume-database NAME counts them there).", n))
	}
	return out
}

// worst is the limit that is exceeded by most.
func (d Database) worst() Limit {
	return slices.MaxFunc(d.Limits, func(a, b Limit) int { return cmp.Compare(a.Ungoverned-a.Allows, b.Ungoverned-b.Allows) })
}

// largest names the consumers that could open most.
func (d Database) largest() string {
	var names []string
	for _, c := range d.Consumers {
		if len(names) < 3 && !c.Held {
			names = append(names, fmt.Sprintf("%s (%d)", c.Object, c.Connections))
		}
	}
	return strings.Join(names, ", ")
}
