package scenario_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keda-headroom/headroom/e2e/scenario"
)

const minimal = `
title: Least
shows: That it can be read.
duration: 1m
database: {maxConnections: 20, reservedConnections: 3, reserve: 2}
fleets:
- {name: orders, messages: 10, work: 1s, connectionsPerPod: 2, messagesPerPod: 5, startDelay: 0s, termination: 5s, minReplicas: 0, maxReplicas: 4}
others: {held: 3, shortEvery: 1s, peak: 6}
timeline:
- {at: 0s, do: burst}
`

func TestScenariosOfTheRepository(t *testing.T) {
	t.Parallel()
	all, err := scenario.ReadDir(os.DirFS("../scenarios"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		if s.Messages() == 0 {
			t.Errorf("%s sends no messages", s.Name)
		}
		if s.Last() >= s.Duration.Duration() {
			t.Errorf("%s: its timeline ends at %s, the run at %s", s.Name, s.Last(), s.Duration)
		}
		// The run that others are compared with has to be one without refusals
		// as long as nothing happens, and of a length that can be compared.
		used, slowest := s.Others.Held+2, 0.0
		for i, f := range s.Expand() {
			n := s.FixedReplicas()[i]
			used += n * f.Opens()
			slowest = max(slowest, float64(f.Messages)*f.Work.Seconds()/float64(n*f.ConnectionsPerPod))
		}
		if free := s.Database.Usable() - used; free < s.Database.Reserve {
			t.Errorf("%s: the fixed fleets leave %d connections free, less than the reserve", s.Name, free)
		}
		if slowest < 60 || slowest > 125 {
			t.Errorf("%s: the fixed fleets need %.0f s at least, want about 100", s.Name, slowest)
		}
	}
	want := []string{
		"apiserver-away", "burst", "failover", "forty-fleets", "from-zero", "headroom-restart", "keda-restart", "leak",
		"node-lost", "rollout", "slow-start", "spike", "three-fleets", "undeclared",
	}
	if !slices.Equal(names, want) {
		t.Errorf("found scenarios %v, want %v", names, want)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := scenario.Parse("least", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "least" || s.Database.Usable() != 17 || s.Fleets[0].Work.Duration() != time.Second || s.Messages() != 10 {
		t.Errorf("read %+v", s)
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, old, new, want string }{
		{"nothing", minimal, "", "expected an object, found nothing"},
		{"unknown field", "held: 3", "hold: 3", "line 8: hold is not a field here"},
		{"twice", "title: Least", "title: Least\ntitle: Most", `"title" already defined`},
		{"two documents", "- {at: 0s, do: burst}", "- {at: 0s, do: burst}\n---\ntitle: More", "expected one document, found more"},
		{"no title", "title: Least", "title: ''", "title: expected one line"},
		{"one lane", "duration: 1m", "duration: 1m\nlanes: 1", "lanes: expected 2 to 100, found 1"},
		{"no unit", "duration: 1m", "duration: 60", `expected a duration such as 30s, found "60"`},
		{"an object as a duration", "duration: 1m", "duration: {}", `expected a duration such as 30s`},
		{"negative", "work: 1s", "work: -1s", "expected a duration such as 30s"},
		{"no work", "work: 1s", "work: 0s", "fleets[0].work: expected 1ms to 1h0m0s, found 0s"},
		{"too many", "maxReplicas: 4", "maxReplicas: 4000", "fleets[0].maxReplicas: expected 1 to 500, found 4000"},
		{"min above max", "minReplicas: 0", "minReplicas: 5", "fleets[0].minReplicas: expected 0 to 4, found 5"},
		{"opens less", "messages: 10", "messages: 10, opensPerPod: 1", "fleets[0].opensPerPod: expected 2 to 1000, found 1"},
		{"bad name", "name: orders", "name: Orders", "fleets[0].name: expected lower-case letters"},
		{"peak below what is held", "peak: 6", "peak: 3", "others.peak: expected 4 to 17, found 3"},
		{"too large a reserve", "reserve: 2", "reserve: 18", "database.reserve: expected 0 to 17, found 18"},
		{"no burst", "- {at: 0s, do: burst}", "- {at: 0s, do: rollout}", "timeline: expected a burst, found none"},
		{"unknown action", "do: burst", "do: explode", "timeline[0].do: expected one of burst, failover, leak, loseNode, restart, rollout, spike, found \"explode\""},
		{"useless field", "do: burst", "do: burst, connections: 3", "timeline[0].connections: expected nothing, as burst has no use for it"},
		{"missing field", "- {at: 0s, do: burst}", "- {at: 0s, do: burst}\n- {at: 1s, do: spike, for: 2s}", "timeline[1].connections: expected a value, as spike needs one"},
		{"unknown component", "- {at: 0s, do: burst}", "- {at: 0s, do: burst}\n- {at: 1s, do: restart, component: kube, for: 2s}", "timeline[1].component: expected keda, headroom or apiServer, found \"kube\""},
		{"no other node", "- {at: 0s, do: burst}", "- {at: 0s, do: burst}\n- {at: 1s, do: loseNode, for: 2s}", "timeline[1]: expected nodes of 2 or more"},
		{"unknown fleet", "do: burst", "do: burst, fleet: mails", "timeline[0].fleet: expected the name of a fleet, found \"mails\""},
		{"too late", "- {at: 0s, do: burst}", "- {at: 61s, do: burst}", "expected it to be over before duration, 1m0s, found 1m1s"},
		{"out of order", "- {at: 0s, do: burst}", "- {at: 5s, do: rollout}\n- {at: 0s, do: burst}", "timeline: expected steps in the order of their times"},
		{"no YAML", "timeline:", "- timeline:", "line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(minimal, test.old, test.new, 1)
			if text == minimal {
				t.Fatal("the test changes nothing")
			}
			_, err := scenario.Parse("least", []byte(text))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "scenario.Scenario") {
				t.Errorf("error is %v, want one that contains %q", err, test.want)
			}
		})
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	s, err := scenario.Parse("least", []byte(strings.Replace(minimal, "name: orders", "name: orders, count: 3", 1)))
	if err != nil {
		t.Fatal(err)
	}
	// 17 usable − 2 reserve − 3 held − 1 short one − 1 that watches = 10: five
	// pods of 2.
	if got := s.FixedReplicas(); !slices.Equal(got, []int{2, 2, 1}) {
		t.Errorf("fixed replicas are %v", got)
	}
	// 17 − 2 − 6 − 1 = 8: four pods.
	if got := s.CarefulReplicas(); !slices.Equal(got, []int{2, 1, 1}) {
		t.Errorf("careful replicas are %v", got)
	}
	s.Fleets[0].OpensPerPod = 3
	if got := s.FixedReplicas(); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("fixed replicas by what pods hold in truth are %v", got)
	}
	if got := s.Expand()[2].Name; got != "orders-03" {
		t.Errorf("the third fleet is %s", got)
	}
}

func FuzzParse(f *testing.F) {
	files, err := os.ReadDir("../scenarios")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile("../scenarios/" + file.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(minimal))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := scenario.Parse("fuzzed", text)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
			return
		}
		fleets := s.Expand()
		if len(fleets) != len(s.FixedReplicas()) || len(fleets) != len(s.CarefulReplicas()) {
			t.Error("replicas are not those of the fleets")
		}
		for _, n := range s.FixedReplicas() {
			if n < 1 {
				t.Errorf("a fleet has %d fixed replicas", n)
			}
		}
		if s.Messages() < 0 || s.Last() < 0 {
			t.Error("a timeline of less than nothing")
		}
	})
}
