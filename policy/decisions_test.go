package policy

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

// TestDecisions holds decisions to golden files: testdata/decisions/NAME.yaml has
// policies, then steps; NAME.golden is what is said of each step.
//
// A step changes what is there, and all of it is read and decided upon. What it
// does not mention stays as it was. The first step finds others watched for long
// enough, unless the file says `starting: true`.
func TestDecisions(t *testing.T) {
	files, err := filepath.Glob("testdata/decisions/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", newScenario(t, file, string(text)).play(t))
		})
	}
}

// scenario is what a file says, and what is there after the steps so far.
type scenario struct {
	Starting bool           `yaml:"starting"`
	Steps    []scenarioStep `yaml:"steps"`

	group     Group
	databases map[string]scenarioDatabase
	queues    map[string]scenarioQueue
	fleets    map[string]scenarioFleet
}

type scenarioStep struct {
	At        time.Duration               `yaml:"at"`
	Say       string                      `yaml:"say"`
	Silent    bool                        `yaml:"silent"` // decided upon, not shown
	Stopped   []string                    `yaml:"stopped"`
	Databases map[string]scenarioDatabase `yaml:"databases"`
	Queues    map[string]scenarioQueue    `yaml:"queues"`
	Fleets    map[string]scenarioFleet    `yaml:"fleets"`
}

type scenarioDatabase struct {
	Server    string            `yaml:"server"` // identity; the name itself where it is left out
	Limit     int               `yaml:"limit"`
	Roles     map[string]int    `yaml:"roles"`     // limits
	Databases map[string]int    `yaml:"databases"` // limits
	Others    int               `yaml:"others"`
	Sessions  []string          `yaml:"sessions"` // more of them: USER DATABASE ADDRESS APPLICATION COUNT
	ByLogin   bool              `yaml:"byLogin"`
	Full      bool              `yaml:"full"`
	Replica   bool              `yaml:"replica"`
	Refused   map[string]string `yaml:"refused"` // by user, why
	Unread    string            `yaml:"unread"`  // why it can't be read; the last reading stays
}

type scenarioQueue struct {
	Visible  int64  `yaml:"visible"`
	InFlight int64  `yaml:"inFlight"`
	Delayed  int64  `yaml:"delayed"`
	Unread   string `yaml:"unread"`
}

type scenarioFleet struct {
	Replicas      int           `yaml:"replicas"`
	Min           int           `yaml:"min"`
	Max           int           `yaml:"max"`
	Surge         string        `yaml:"surge"`
	Tolerance     int           `yaml:"tolerance"`
	Stabilization time.Duration `yaml:"stabilization"`
	Unavailable   int           `yaml:"unavailable"` // of a rollout
	// Pods: NAME, then any of an address, ready, started, gated (with our term on
	// it, unless unfenced follows), otherGates, terminating, finished, version=V,
	// conns=N (open on each database), grant=N, revision=N, ordinal=N.
	Pods   []string `yaml:"pods"`
	Unread string   `yaml:"unread"`
}

// newScenario reads a file: policy documents, and after them one of steps.
func newScenario(t testing.TB, file, text string) *scenario {
	t.Helper()
	at := strings.LastIndex(text, "\n---\n")
	if at < 0 {
		t.Fatalf("%s: expected policies, then --- and steps", file)
	}
	s := &scenario{databases: map[string]scenarioDatabase{}, queues: map[string]scenarioQueue{}, fleets: map[string]scenarioFleet{}}
	decoder := yaml.NewDecoder(strings.NewReader(text[at+5:]))
	decoder.KnownFields(true)
	if err := decoder.Decode(s); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	documents, problems := Parse(Source{Where: file}, []byte(text[:at+1]))
	if len(problems) > 0 {
		t.Fatalf("%s: %v", file, problems)
	}
	set, _ := Resolve(documents)
	// All in one group: what is refused has no database of its own.
	s.group = Group(set)
	return s
}

// play decides upon each step, and tells what was decided.
func (s *scenario) play(t testing.TB) []byte {
	var out bytes.Buffer
	snapshot := Snapshot{
		Epoch:     term,
		Databases: map[metrics.ID]metrics.Reading[metrics.Database]{},
		Queues:    map[metrics.ID]metrics.Reading[metrics.Queue]{},
		Fleets:    map[metrics.ID]metrics.Reading[metrics.Fleet]{},
	}
	var ledger Ledger
	for i, step := range s.Steps {
		now := noon.Add(step.At)
		for id, d := range step.Databases {
			s.databases[id] = d
		}
		for id, q := range step.Queues {
			s.queues[id] = q
		}
		for id, f := range step.Fleets {
			s.fleets[id] = f
		}
		for j := range s.group.Workloads {
			w := &s.group.Workloads[j]
			w.Stopped = slices.Contains(step.Stopped, w.ID.String())
		}
		s.read(t, now, snapshot)
		if i == 0 && !s.Starting {
			ledger = s.watched(snapshot)
		}
		var plan Plan
		plan, ledger = Decide(now, s.group, snapshot, ledger)
		if !step.Silent {
			s.tell(&out, step, plan)
		}
	}
	return out.Bytes()
}

// watched is the memory of others that never were there in all the time since
// yesterday.
func (s *scenario) watched(snapshot Snapshot) Ledger {
	l := Ledger{Databases: map[metrics.ID]DatabaseMemory{}}
	for id, r := range snapshot.Databases {
		if data, known := r.Last(); known && data.Server != "" {
			m := DatabaseMemory{Server: data.Server, Others: map[string]Peak{}}
			for _, c := range data.Constraints {
				m.Others[c.Name] = Peak{Since: noon.AddDate(0, 0, -1)}
			}
			l.Databases[id] = m
		}
	}
	return l
}

func (s *scenario) read(t testing.TB, now time.Time, into Snapshot) {
	for text, q := range s.queues {
		id := scenarioID(t, text)
		if q.Unread != "" {
			into.Queues[id] = into.Queues[id].Failed(q.Unread)
			continue
		}
		into.Queues[id] = metrics.Known(metrics.Queue{Visible: q.Visible, InFlight: q.InFlight, Delayed: q.Delayed}, now)
	}
	sessions := map[metrics.ID][]metrics.Sessions{}
	for text, f := range s.fleets {
		id := scenarioID(t, text)
		state, opened := f.state(t)
		w, ok := s.group.Workload(id)
		if !ok {
			t.Fatalf("no policy of workload %s", id)
		}
		for _, use := range w.Databases {
			for _, open := range opened {
				open.User, open.Database, open.Application = use.User, use.DatabaseName, use.ApplicationName
				if open.Database == "" {
					open.Database = "orders"
				}
				sessions[use.Database] = append(sessions[use.Database], open)
			}
		}
		if f.Unread != "" {
			into.Fleets[id] = into.Fleets[id].Failed(f.Unread)
			continue
		}
		into.Fleets[id] = metrics.Known(state, now)
	}
	for text, d := range s.databases {
		id := scenarioID(t, text)
		if d.Unread != "" {
			into.Databases[id] = into.Databases[id].Failed(d.Unread)
			continue
		}
		into.Databases[id] = metrics.Known(s.look(t, id, d, sessions), now)
	}
}

// look is what the server says that a name leads to. Pods that connect by
// another name of it are there too.
func (s *scenario) look(t testing.TB, id metrics.ID, d scenarioDatabase, sessions map[metrics.ID][]metrics.Sessions) metrics.Database {
	if d.Full {
		return metrics.Database{Full: true}
	}
	out := metrics.Database{Server: d.Server, Name: "orders", ReadOnly: d.Replica, Attribution: metrics.ByAddress, Constraints: []metrics.Constraint{{Name: "server", Limit: d.Limit}}}
	if out.Server == "" {
		out.Server = id.Name
	}
	for _, role := range sortedKeys(d.Roles) {
		out.Constraints = append(out.Constraints, metrics.Constraint{Name: "role/" + role, Limit: d.Roles[role], User: role})
	}
	for _, name := range sortedKeys(d.Databases) {
		out.Constraints = append(out.Constraints, metrics.Constraint{Name: "database/" + name, Limit: d.Databases[name], Database: name})
	}
	type userOf struct{ user, database string }
	asked := map[userOf]bool{}
	names := []metrics.ID{id}
	for text, other := range s.databases {
		if other.Server != "" && other.Server == d.Server && text != id.String() {
			names = append(names, scenarioID(t, text))
		}
	}
	for _, w := range s.group.Workloads {
		for _, use := range w.Databases {
			login := metrics.Login{User: use.User, Database: use.DatabaseName}
			if login.Database == "" {
				login.Database = "orders"
			}
			key := userOf{login.User, login.Database}
			if !slices.Contains(names, use.Database) || asked[key] {
				continue
			}
			asked[key] = true
			login.Refused = d.Refused[use.User]
			for _, c := range out.Constraints {
				if c.Counts(login.User, login.Database) {
					login.Constraints = append(login.Constraints, c.Name)
				}
			}
			out.Logins = append(out.Logins, login)
		}
	}
	if d.Others > 0 {
		out.Sessions = append(out.Sessions, metrics.Sessions{User: "web", Database: "shop", Address: "10.9.0.1", Count: d.Others})
	}
	for _, name := range names {
		out.Sessions = append(out.Sessions, sessions[name]...)
	}
	for _, line := range d.Sessions {
		field := strings.Fields(line)
		if len(field) != 5 {
			t.Fatalf("session %q: expected USER DATABASE ADDRESS APPLICATION COUNT", line)
		}
		out.Sessions = append(out.Sessions, metrics.Sessions{User: field[0], Database: field[1], Address: field[2], Application: field[3], Count: scenarioNumber(t, field[4])})
	}
	if d.ByLogin {
		out.Attribution = metrics.ByLogin
		for i := range out.Sessions {
			out.Sessions[i].Address = ""
		}
	}
	slices.SortFunc(out.Sessions, func(a, b metrics.Sessions) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}

// state is the fleet as the API shows it, and what its pods have open.
func (f scenarioFleet) state(t testing.TB) (metrics.Fleet, []metrics.Sessions) {
	surge := intorpercent.Value{}
	if f.Surge != "" {
		var err error
		if surge, err = intorpercent.Parse(f.Surge); err != nil {
			t.Fatal(err)
		}
	}
	state := metrics.Fleet{SpecReplicas: f.Replicas, MinReplicas: f.Min, MaxReplicas: f.Max, MaxSurge: surge, MaxUnavailable: intorpercent.Count(f.Unavailable),
		HPA: metrics.HPA{ScaleDownToleranceMilli: f.Tolerance, ScaleDownStabilization: f.Stabilization}}
	var opened []metrics.Sessions
	for i, line := range f.Pods {
		fields := strings.Fields(line)
		p := metrics.Pod{UID: fields[0], Name: fields[0], CreatedAt: noon.Add(time.Duration(i) * time.Second)}
		open := 0
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "ready":
				p.Ready = true
			case "gated":
				p.Gated, p.Epoch = true, term
			case "unfenced":
				p.Epoch = ""
			case "version":
				p.Version = value
			case "started":
				p.Started = true
			case "otherGates":
				p.OtherGates = true
			case "terminating":
				p.Terminating = true
			case "finished":
				p.Finished = true
			case "conns":
				open = scenarioNumber(t, value)
			case "grant":
				p.Grant = map[string]int{"shop/orders-db": scenarioNumber(t, value)}
			case "revision":
				p.Revision = int64(scenarioNumber(t, value))
			case "ordinal":
				p.Ordinal = scenarioNumber(t, value)
			default:
				if !strings.Contains(field, ".") {
					t.Fatalf("pod %q: what is %q?", line, field)
				}
				p.Address = field
			}
		}
		if open > 0 {
			opened = append(opened, metrics.Sessions{Address: p.Address, Count: open})
		}
		if !p.Terminating && !p.Finished {
			state.StatusReplicas++
		}
		state.Pods = append(state.Pods, p)
	}
	return state, opened
}

// tell renders a step for a person.
func (s *scenario) tell(out *bytes.Buffer, step scenarioStep, plan Plan) {
	if out.Len() > 0 {
		out.WriteString("\n")
	}
	fmt.Fprintf(out, "== %s: %s\n", step.At, strings.TrimSpace(step.Say))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := false
	for _, d := range plan.Databases {
		for _, c := range d.Constraints {
			if !head {
				fmt.Fprintln(table, "limit\treserve\tused\tothers\thigh water\tghosts\tgranted\tdeparted\tbudget\tfree\t")
				head = true
			}
			fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t  %s %s%s\n", c.Limit, c.Reserve, c.Used, c.Others, c.OthersHighWater, c.Ghosts, c.Granted, c.Departed, c.Budget, c.Free, d.ID, c.Name, pressureText(c.Pressure))
		}
	}
	_ = table.Flush() // into memory, which takes everything
	for _, d := range plan.Databases {
		if d.Unknown != "" {
			fmt.Fprintf(out, "%s: unknown: %s\n", d.ID, d.Unknown)
		}
		if d.Starting != "" {
			fmt.Fprintf(out, "%s: starting: %s\n", d.ID, d.Starting)
		}
	}
	for _, w := range plan.Workloads {
		out.WriteString(Describe(w))
		active := "active"
		if !w.Active {
			active = "not active"
		}
		if w.Failure == "" {
			fmt.Fprintf(out, "  KEDA is told %v, %s", w.Value, active)
		} else {
			fmt.Fprintf(out, "  KEDA is answered with an error: %s", w.Failure)
		}
		fmt.Fprintf(out, "; %d there, share %d, ceiling %s", w.Replicas, w.Share, ceilingText(w.Ceiling))
		if w.Binding != "" {
			fmt.Fprintf(out, ", bound by %s", w.Binding)
		}
		if w.Gated > 0 {
			fmt.Fprintf(out, ", %d gated", w.Gated)
		}
		out.WriteString("\n")
		for _, u := range w.Uses {
			if u.PerPod != u.Declared {
				fmt.Fprintf(out, "  a pod opens %d connections to %s, though %d are declared\n", u.PerPod, u.Database, u.Declared)
			}
			if u.Unattributed {
				fmt.Fprintf(out, "  none of its connections to %s is recognized\n", u.Database)
			}
		}
		for _, a := range w.Admissions {
			fmt.Fprintf(out, "  admits %s", a.Name)
			for _, database := range sortedKeys(a.Grant) {
				fmt.Fprintf(out, " with %d to %s", a.Grant[database], database)
			}
			out.WriteString("\n")
		}
		for _, st := range w.Stamps {
			fmt.Fprintf(out, "  writes %s on %s\n", st.Epoch, st.Name)
		}
		for _, e := range w.Evictions {
			fmt.Fprintf(out, "  evicts %s (%s): %s\n", e.Name, e.Reason, e.Sentence)
		}
		if w.Ungated > 0 {
			fmt.Fprintf(out, "  %d came past no gate\n", w.Ungated)
		}
	}
}

func pressureText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d more to be kept free", n)
}

func ceilingText(n int) string {
	if n >= maxReplicas {
		return "none"
	}
	return strconv.Itoa(n)
}

func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

func scenarioID(t testing.TB, text string) metrics.ID {
	id, err := metrics.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func scenarioNumber(t testing.TB, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
