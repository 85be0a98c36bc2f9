package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds keep a typing error from starting a thousand processes.
const (
	mostConnections = 1000
	mostFleets      = 100
	mostReplicas    = 500
	mostMessages    = 1_000_000
	mostNodes       = 10
	mostLanes       = 100
	longest         = time.Hour
)

// dnsLabel is what can be part of a name in Kubernetes.
var dnsLabel = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$`)

// findings gathers what is wrong, in words.
type findings []string

func (f *findings) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *findings) between(what string, found, least, most int) {
	if found < least || found > most {
		f.add("%s: expected %d to %d, found %d", what, least, most, found)
	}
}

func (f *findings) within(what string, found Duration, least time.Duration) {
	if d := found.Duration(); d < least || d > longest {
		f.add("%s: expected %s to %s, found %s", what, least, longest, d)
	}
}

func (s Scenario) problems() findings {
	var f findings
	if !dnsLabel.MatchString(s.Name) {
		f.add("its name: expected lower-case letters, digits and dashes, found %q", s.Name)
	}
	if s.Title == "" || strings.Contains(s.Title, "\n") {
		f.add("title: expected one line, found %q", s.Title)
	}
	if s.Shows == "" {
		f.add("shows: expected what can be learnt from the scenario, found nothing")
	}
	f.within("duration", s.Duration, time.Second)
	if s.Lanes != 0 {
		f.between("lanes", s.Lanes, 2, mostLanes)
	}
	f.between("nodes", s.Nodes, 0, mostNodes)
	s.Database.check(&f)
	s.checkFleets(&f)
	f.between("others.held", s.Others.Held, 0, s.Database.Usable())
	f.between("others.peak", s.Others.Peak, s.Others.usual(), s.Database.Usable())
	f.within("others.shortEvery", s.Others.ShortEvery, 0)
	s.checkTimeline(&f)
	return f
}

func (d Database) check(f *findings) {
	f.between("database.maxConnections", d.MaxConnections, 5, mostConnections)
	f.between("database.reservedConnections", d.ReservedConnections, 1, d.MaxConnections-1)
	f.between("database.reserve", d.Reserve, 0, d.Usable())
}

func (s Scenario) checkFleets(f *findings) {
	f.between("fleets, their number", len(s.Fleets), 1, mostFleets)
	names := map[string]bool{}
	for i, one := range s.Fleets {
		one.check(f, fmt.Sprintf("fleets[%d]", i))
	}
	if len(*f) > 0 {
		return // Expand might take long
	}
	all := s.Expand()
	f.between("fleets, their number with count", len(all), 1, mostFleets)
	for _, one := range all {
		if names[one.Name] {
			f.add("fleets: expected different names, found %s twice", one.Name)
		}
		names[one.Name] = true
	}
}

func (f Fleet) check(out *findings, at string) {
	if !dnsLabel.MatchString(f.Name) {
		out.add("%s.name: expected lower-case letters, digits and dashes, found %q", at, f.Name)
	}
	out.between(at+".count", f.Count, 0, mostFleets)
	out.between(at+".messages", f.Messages, 1, mostMessages)
	out.within(at+".work", f.Work, time.Millisecond)
	out.between(at+".connectionsPerPod", f.ConnectionsPerPod, 1, mostConnections)
	out.between(at+".messagesPerPod", f.MessagesPerPod, 1, mostMessages)
	out.within(at+".startDelay", f.StartDelay, 0)
	out.within(at+".termination", f.Termination, time.Second)
	out.between(at+".maxReplicas", f.MaxReplicas, 1, mostReplicas)
	out.between(at+".minReplicas", f.MinReplicas, 0, f.MaxReplicas)
	if f.OpensPerPod != 0 {
		out.between(at+".opensPerPod", f.OpensPerPod, f.ConnectionsPerPod, mostConnections)
	}
}

func (s Scenario) checkTimeline(f *findings) {
	if !slices.ContainsFunc(s.Timeline, func(step Step) bool { return step.Do == Burst }) {
		f.add("timeline: expected a burst, found none: there would be nothing to do")
	}
	for i, step := range s.Timeline {
		at := fmt.Sprintf("timeline[%d]", i)
		allowed, known := fields[step.Do]
		if !known {
			f.add("%s.do: expected one of %s, found %q", at, strings.Join(actions(), ", "), step.Do)
			continue
		}
		step.checkFields(f, at, allowed)
		if step.At+step.For > s.Duration {
			f.add("%s: expected it to be over before duration, %s, found %s", at, s.Duration, step.At+step.For)
		}
		if step.Fleet != "" && !slices.ContainsFunc(s.Fleets, func(fleet Fleet) bool { return fleet.Name == step.Fleet }) {
			f.add("%s.fleet: expected the name of a fleet, found %q", at, step.Fleet)
		}
		s.checkValues(f, at, step)
	}
	if !slices.IsSortedFunc(s.Timeline, func(a, b Step) int { return int(a.At - b.At) }) {
		f.add("timeline: expected steps in the order of their times")
	}
}

func (s Step) checkFields(f *findings, at string, allowed []string) {
	given := s.given()
	for _, name := range allowed {
		plain := strings.TrimSuffix(name, "*")
		if plain != name && !given[plain] {
			f.add("%s.%s: expected a value, as %s needs one, found none", at, plain, s.Do)
		}
		delete(given, plain)
	}
	for _, name := range []string{"component", "connections", "every", "fleet", "for", "maxConnections", "messages"} {
		if given[name] {
			f.add("%s.%s: expected nothing, as %s has no use for it", at, name, s.Do)
		}
	}
}

func (s Scenario) checkValues(f *findings, at string, step Step) {
	f.between(at+".messages", step.Messages, 0, mostMessages)
	f.between(at+".connections", step.Connections, 0, mostConnections)
	switch step.Do {
	case Burst, Spike, Leak, Rollout:
	case Failover:
		f.between(at+".maxConnections", step.MaxConnections, s.Database.ReservedConnections+1, mostConnections)
	case Restart:
		if c := step.Component; c != KEDA && c != Headroom && c != APIServer {
			f.add("%s.component: expected %s, %s or %s, found %q", at, KEDA, Headroom, APIServer, c)
		}
	case LoseNode:
		if s.Nodes < 2 {
			f.add("%s: expected nodes of 2 or more, so that there is one left to lose to, found %d", at, s.Nodes)
		}
	}
}
