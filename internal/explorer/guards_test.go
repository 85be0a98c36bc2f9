package explorer

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	build "github.com/keda-headroom/headroom/internal/seeded"
)

var update = flag.Bool("update", false, "search counterexamples for guards that have none")

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 11)) }

// guard is a fault that takes one guard away, and the scene in which that breaks
// something.
type guard struct {
	scene string
	build.Fault
}

const (
	requests = "scaler/gate/request.go"
	fleet    = "policy/fleet.go"
	account  = "policy/account.go"
	admit    = "policy/admit.go"
	decide   = "policy/decide.go"
	identity = "policy/identity.go"
)

var guards = []guard{
	{"late", build.Fault{Name: "an admission does not test the version", File: requests,
		Code:  `{Op: "test", Path: "/metadata/resourceVersion", Value: a.Version},`,
		Wrong: `{Op: "test", Path: either(#, "/metadata/uid", "/metadata/resourceVersion"), Value: either(#, a.UID, a.Version)},`}},
	{"late", build.Fault{Name: "any term fences", File: fleet,
		Code: `return f.epoch != "" && ours && (`, Wrong: `return f.epoch != "" && (ours || fault(#) && p.Epoch != "") && (fault(#) || `}},
	{"late", build.Fault{Name: "an admission is forgotten until it is seen", File: fleet,
		Code: "admitted, issued := f.memory.Admitted[p.UID]\n", Wrong: "admitted, issued := f.memory.Admitted[p.UID]\n\t\tissued = issued && !fault(#)\n"}},
	{"ghosts", build.Fault{Name: "what outlives its pod is not counted", File: account,
		Code: `c.OthersHighWater) - c.Ghosts`, Wrong: `c.OthersHighWater) - unless(#, c.Ghosts)`}},
	{"ghosts", build.Fault{Name: "a pod's disappearance releases its grant", File: fleet,
		Code: `out.grants[i] = d.Grants[u.Database]`, Wrong: `out.grants[i] = unless(#, d.Grants[u.Database])`}},
	{"ghosts", build.Fault{Name: "a reading from before a pod went says that it is gone", File: fleet,
		Code: `return u.server.unknown == "" && u.server.began.After(left)`, Wrong: `return u.server.unknown == "" && (fault(#) || u.server.began.After(left))`}},
	{"ghosts", build.Fault{Name: "a pod that passed unseen leaves nothing behind", File: decide,
		Code: "if !f.holds(a.UID) {\n\t\t\t// It may pass", Wrong: "if !f.holds(a.UID) && !fault(#) {\n\t\t\t// It may pass"}},
	{"ghosts", build.Fault{Name: "a pod that is terminating holds nothing", File: fleet,
		Code: `if p.Finished || (p.Gated`, Wrong: `if p.Finished || (fault(#) && p.Terminating) || (p.Gated`}},
	{"restart", build.Fault{Name: "what a pod holds beyond its grant is forgotten", File: fleet,
		Code: `if p.observed[u] > p.grants[u] {`, Wrong: `if p.observed[u] > p.grants[u] && !fault(#) {`}},
	{"stale", build.Fault{Name: "a stale reading is trusted", File: identity,
		Code: `data, ok := reading.At(now, p.MaxReadingAge)`, Wrong: `data, ok := reading.At(now, p.MaxReadingAge*(1+1000*switched(#)))`}},
	{"stale", build.Fault{Name: "an unknown database does not freeze", File: fleet,
		Code: "if f.frozen == nil {\n\t\tf.frozen = &Refusal{reason, sentence}", Wrong: "if f.frozen == nil && !fault(#) {\n\t\tf.frozen = &Refusal{reason, sentence}"}},
	{"late", build.Fault{Name: "one connection too many", File: account,
		Code: `c.Budget = c.Limit -`, Wrong: `c.Budget = int(switched(#)) + c.Limit -`}},
	{"late", build.Fault{Name: "the reserve is not kept", File: identity,
		Code: `reserve = max(reserve, p.Reserve.Up(c.Limit))`, Wrong: `reserve = max(reserve, unless(#, p.Reserve.Up(c.Limit)))`}},
	{"spike", build.Fault{Name: "what others held a moment ago is forgotten", File: identity,
		Code: `c.OthersHighWater = max(c.OthersHighWater, high)`, Wrong: `c.OthersHighWater = max(c.OthersHighWater, unless(#, high))`}},
	{"spike", build.Fault{Name: "others need not have been watched", File: "policy/ceiling.go",
		Code: `if u.server.starting != "" {`, Wrong: `if u.server.starting != "" && !fault(#) {`}},
	{"edit", build.Fault{Name: "what is stamped on a pod is forgotten after a restart", File: fleet,
		Code: `if !stamped {`, Wrong: `if !stamped || fault(#) {`}},
	{"edit", build.Fault{Name: "an earlier leader granted what is granted now", File: admit,
		Code: `out[k] = out[k] || p.promised &&`, Wrong: `out[k] = out[k] || !fault(#) && p.promised &&`}},
	{"spike", build.Fault{Name: "an admission that is taken back is gone at once", File: decide,
		Code:  `pd.Gated && issued {`,
		Wrong: `pd.Gated && issued && !(fault(#) && slices.ContainsFunc(p.Stamps, func(s Stamp) bool { return s.UID == pd.UID })) {`}},
	{"modes", build.Fault{Name: "what passed in Observe is repeated in Gate", File: admit,
		Code: `if !f.acts() || f.beyondCarried() {`, Wrong: `if !f.acts() || f.beyondCarried() && !fault(#) {`}},
	{"names", build.Fault{Name: "two names for one server are counted apart", File: identity,
		Code: "\t\tsv := byIdentity[memory[p.ID].Server]\n\t\tif sv == nil {\n\t\t\tsv = &server{", Wrong: "\t\tsv := byIdentity[memory[p.ID].Server]\n\t\tif sv == nil || fault(#) {\n\t\t\tsv = &server{"}},
	{"login", build.Fault{Name: "what is held is taken for a pod's that waits", File: account,
		Code: "if p.promised {\n\t\t\t\tcontinue", Wrong: "if p.promised && !fault(#) {\n\t\t\t\tcontinue"}},
	{"login", build.Fault{Name: "a ghost hides in a grant that is not used yet", File: account,
		Code: `if ready == p.opened(s) {`, Wrong: `if ready == (fault(#) || p.opened(s)) {`}},
	{"gates", build.Fault{Name: "a pod that somebody else holds back is let through", File: admit,
		Code: `if p.Gated && !p.OtherGates && !p.Terminating && !p.Finished && !f.issued(p) && f.fenced(p) {`, Wrong: `if p.Gated && (fault(#) || !p.OtherGates) && !p.Terminating && !p.Finished && !f.issued(p) && f.fenced(p) {`}},
	{"large", build.Fault{Name: "a small pod overtakes a large one", File: admit,
		Code: `free[k] -= f.cost[k] // taken, or kept free for it`, Wrong: `free[k] -= unless(map[bool]string{true: "-", false: #}[fits], f.cost[k])`}},
}

func sceneOf(t *testing.T, name string) Scene {
	for _, s := range Scenes(true) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no scene %q", name)
	return Scene{}
}

func (g guard) file() string {
	return filepath.Join("testdata", "guards", strings.ReplaceAll(strings.ReplaceAll(g.Name, " ", "-"), "'", "")+".txt")
}

// TestGuards takes away one guard after the other, in one build of the real source,
// and expects the moves that are kept in testdata/guards to break something then;
// and nothing while it is there. With -update counterexamples are searched anew where
// they don't any more.
func TestGuards(t *testing.T) {
	if testing.Short() || race {
		t.Log("building with faults takes a while: not done with -short, nor with the race detector")
		return
	}
	var faults []build.Fault
	for _, g := range guards {
		faults = append(faults, g.Fault)
	}
	binary, err := build.Build(t.TempDir(), "./internal/explorer", faults)
	if err != nil {
		t.Fatal(err)
	}
	run := func(g guard, test string) string {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+test+"$", "-test.v")
		cmd.Env = append(os.Environ(), build.Switch+"="+g.Name, "HEADROOM_GUARD="+g.Name)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	for _, g := range guards {
		t.Run(g.Name, func(t *testing.T) {
			out := run(g, "TestGuardReplay")
			if *update {
				run(g, "TestGuardSearch")
				out = run(g, "TestGuardReplay")
			}
			_, problem, broken := strings.Cut(out, "BROKEN: ")
			if !broken {
				t.Fatalf("without this guard the moves in %s break nothing; go test -update searches others:\n%s", g.file(), out)
			}
			problem, _, _ = strings.Cut(problem, "\n")
			t.Log(problem)
			if problem := g.replay(t); problem != "" {
				t.Errorf("with the guard the same moves break something: %s", problem)
			}
		})
	}
}

// replay plays the moves that are kept for a guard, as far as they can be made.
func (g guard) replay(t *testing.T) string {
	_, problem := g.follow(t)
	return problem
}

// follow returns those moves, too.
func (g guard) follow(t *testing.T) ([]Move, string) {
	s := sceneOf(t, g.scene)
	text, err := os.ReadFile(g.file())
	if os.IsNotExist(err) {
		return nil, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	path, err := Parse(s, string(text))
	if err != nil {
		t.Fatalf("%s: %v", g.file(), err)
	}
	w := newWorld(&s)
	w.loosen()
	return w.follow(path)
}

// chosen is the guard that this process was started for by TestGuards.
func chosen() (guard, bool) {
	for _, g := range guards {
		if name := os.Getenv("HEADROOM_GUARD"); name != "" && g.Name == name {
			return g, true
		}
	}
	return guard{}, false
}

// TestGuardReplay is what TestGuards runs in a build with faults.
func TestGuardReplay(t *testing.T) {
	if g, ok := chosen(); ok {
		if problem := g.replay(t); problem != "" {
			t.Log("BROKEN: " + problem)
		}
	}
}

// TestGuardSearch finds moves that break something without a guard, and keeps them.
func TestGuardSearch(t *testing.T) {
	g, ok := chosen()
	if !ok {
		return
	}
	s := sceneOf(t, g.scene)
	walks := Walks{}
	if walks.Path, walks.Broken = g.follow(t); walks.Broken == "" {
		walks = Walk(s, 1, number(t, "HEADROOM_WALKS", 20_000), 60)
	}
	if walks.Broken == "" {
		t.Logf("nothing was broken: %s", walks)
		return
	}
	var text strings.Builder
	text.WriteString("# Without this guard: " + g.Name + ".\n# " + walks.Broken + "\n")
	for _, line := range strings.Split(strings.TrimSpace(Story(s, walks.Path)), "\n") {
		text.WriteString("# " + strings.TrimRight(line, " ") + "\n")
	}
	text.WriteString(Write(s, walks.Path))
	if err := os.MkdirAll(filepath.Dir(g.file()), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.file(), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
