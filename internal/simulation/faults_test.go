package simulation

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// fault is a mistake that could be made in package policy: in one place, the
// code is not as it is but as it would be with the mistake.
type fault struct {
	name string
	file string
	// code stands exactly once in the file; wrong takes its place. In wrong,
	// fault(N) is whether this fault is switched on, unless(N, n) is 0 if so and
	// n if not; N is the fault's own number, written #.
	code, wrong string
	// seed is that of a schedule that shows the mistake; the first ones, where
	// it is 0.
	seed int
}

var faults = []fault{
	{"terminating pods ignored", "fleet.go", `if p.Finished || (p.Gated && !issued) {`, `if p.Finished || (p.Gated && !issued) || (fault(#) && p.Terminating) {`, 0},
	{"ghosts not counted", "account.go", `c.OthersHighWater) - c.Ghosts`, `c.OthersHighWater) - unless(#, c.Ghosts)`, 130},
	{"high water forgotten", "identity.go", `c.OthersHighWater = max(c.OthersHighWater, high)`, `c.OthersHighWater = max(c.OthersHighWater, unless(#, high))`, 0},
	{"stale reading trusted", "identity.go", `data, ok := reading.At(now, p.MaxReadingAge)`, `data, ok := reading.At(now, p.MaxReadingAge*(1+1000*switched(#)))`, 0},
	{"only what is visible counts, not what was promised", "account.go", `c.Granted += f.on(c, p.grants)`, `c.Granted += f.on(c, either(#, p.observed, p.grants))`, 0},
	{"a pod's disappearance releases its grant", "fleet.go", `out.grants[i] = d.Grants[u.Database]`, `out.grants[i] = unless(#, d.Grants[u.Database])`, 270},
	{"a departed pod's grant is never released", "fleet.go", `return u.server.unknown == "" && u.server.began.After(left)`, `return u.server.unknown == "" && u.server.began.After(left) && !fault(#)`, 0},
	{"reserve ignored", "identity.go", `reserve = max(reserve, p.Reserve.Up(c.Limit))`, `reserve = max(reserve, unless(#, p.Reserve.Up(c.Limit)))`, 0},
	{"an admission is forgotten until it is seen", "fleet.go", `admitted, issued := f.memory.Admitted[p.UID]
`, `admitted, issued := f.memory.Admitted[p.UID]
		issued = issued && !fault(#)
`, 0},
	{"an admission is repeated though it no longer fits", "admit.go", `if fits && free[k] < 0 {`, `if fits && free[k] < 0 && !fault(#) {`, 5955},
	{"an admission in flight is given up at once", "fleet.go", `now.Sub(a.At) > patchLife`, `now.Sub(a.At) > patchLife*(1-switched(#))`, 80},
	{"a role's limit is ignored", "fleet.go", `login, ok := u.login(); !ok || slices.Contains(login.Constraints, c.Name) {`, `login, ok := u.login(); !ok || slices.Contains(login.Constraints, c.Name) && !fault(#) {`, 0},
	{"replicas that are on their way are ignored", "fleet.go", `f.coming = max(0, max(f.state.SpecReplicas, min(told, f.hi))-f.staying)`, `f.coming = unless(#, max(0, max(f.state.SpecReplicas, min(told, f.hi))-f.staying))`, 1045},
	{"what KEDA was told is forgotten", "fleet.go", `min(told, f.hi))-f.staying)`, `min(unless(#, told), f.hi))-f.staying)`, 1045},
	{"a replica server is trusted", "identity.go", `case data.ReadOnly:`, `case data.ReadOnly && !fault(#):`, 0},
	{"two names for one server are counted apart", "identity.go", `		sv := byIdentity[memory[p.ID].Server]
		if sv == nil {
			sv = &server{`, `		sv := byIdentity[memory[p.ID].Server]
		if sv == nil || fault(#) {
			sv = &server{`, 0},
	{"an unread name hides its pods", "identity.go", `		if sv == nil { // it may have moved`, `		if fault(#) {
			sv = nil
		} else if sv == nil { // it may have moved`, 1665},
	{"an unknown database does not freeze", "fleet.go", `if f.frozen == nil {
		f.frozen = &Refusal{reason, sentence}`, `if f.frozen == nil && !fault(#) {
		f.frozen = &Refusal{reason, sentence}`, 0},
	{"others need not be watched first", "ceiling.go", `if u.server.starting != "" {`, `if u.server.starting != "" && !fault(#) {`, 0},
	{"a rollout's surge is not set aside", "fleet.go", `if f.Mode == Gate || n == 0 {`, `if f.Mode == Gate || n == 0 || fault(#) {`, 0},
	{"other workloads' shares are ignored", "ceiling.go", `due := max(f.claim[k], f.need(f.share, k))`, `due := max(f.claim[k], unless(#, f.need(f.share, k)))`, 0},
	{"one connection too many", "account.go", `c.Budget = c.Limit -`, `c.Budget = int(switched(#)) + c.Limit -`, 0},
	{"one connection too many at the gate", "admit.go", `f.cost[k] > free[k] {`, `f.cost[k] > free[k]+int(switched(#)) {`, 80},
	{"activation ignores the ceiling", "target.go", `return value, f.wanted() && p.Target > 0 && p.Target >= f.state.MinReplicas`, `return value, fault(#) && f.demand.Smoothed > 0 || f.wanted() && p.Target > 0 && p.Target >= f.state.MinReplicas`, 0},
	{"what a pod holds beyond its grant is forgotten", "fleet.go", `f.pods[i].grants[u] = max(f.pods[i].grants[u], f.pods[i].observed[u])`, `f.pods[i].grants[u] = max(f.pods[i].grants[u], unless(#, f.pods[i].observed[u]))`, 0},
	{"what is leaving is as good as gone", "fleet.go", `return f.leaving[k] + f.needPods(f.staying+f.coming, k)`, `return unless(#, f.leaving[k]) + f.needPods(f.staying+f.coming, k)`, 140},
	{"a ghost hides in a grant that is not used yet", "account.go", `if ready == (p.Ready && !seen.IsZero() && s.began.After(seen)) {`, `if ready == (fault(#) || p.Ready && !seen.IsZero() && s.began.After(seen)) {`, 270},
	{"a workload without a first pod waits behind others' tenth", "allocate.go", `case n == 1 && f.demand.Raw >= 1:`, `case n == 1 && f.demand.Raw >= 1 && !fault(#):`, 0},
}

// switches is added to package policy, so that one build holds every fault.
const switches = `package policy

import "os"

var seeded = os.Getenv("HEADROOM_FAULT")

func fault(name string) bool { return name == seeded }

func unless(name string, n int) int { return either(name, 0, n) }

func either[T any](name string, wrong, right T) T {
	if fault(name) {
		return wrong
	}
	return right
}

func switched(name string) time.Duration { return either[time.Duration](name, 1, 0) }
`

// TestFaults seeds one mistake after the other into the real source of package
// policy and expects the closed loop to notice each: a proof that TestClosedLoop
// can fail.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Log("building the simulation with faults takes a while: not done with -short")
		return
	}
	binary := buildWithFaults(t)
	run := func(name string, seed int, count string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestClosedLoop$", "-test.v")
		cmd.Env = append(os.Environ(), "HEADROOM_FAULT="+name, "HEADROOM_SCHEDULES="+count, "HEADROOM_SEED="+strconv.Itoa(seed))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("", 1, "300"); err != nil {
		t.Fatalf("without a fault the build for faults must pass: %v\n%s", err, out)
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			out, err := run(f.name, f.seed, "30")
			if err == nil { // the schedule that shows it is another one by now
				out, err = run(f.name, 1, "10000")
			}
			if err == nil {
				t.Fatalf("nobody noticed:\n%s", out)
			}
			i := strings.Index(out, "seed ")
			if i < 0 {
				t.Fatalf("failed for another reason: %v\n%s", err, out)
			}
			line, _, _ := strings.Cut(out[i:], "\n")
			t.Log(line)
		})
	}
}

// buildWithFaults builds this package's test with all faults in place, none
// switched on.
func buildWithFaults(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	_, self, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(self), "..", "..", "policy")
	texts := map[string]string{"switches.go": strings.Replace(switches, `import "os"`, "import (\n\t\"os\"\n\t\"time\"\n)", 1)}
	for _, f := range faults {
		if texts[f.file] == "" {
			data, err := os.ReadFile(filepath.Join(source, f.file))
			if err != nil {
				t.Fatal(err)
			}
			texts[f.file] = string(data)
		}
		if n := strings.Count(texts[f.file], f.code); n != 1 {
			t.Fatalf("fault %q: expected its code once in policy/%s, found it %d times; bring the fault up to date:\n%s", f.name, f.file, n, f.code)
		}
		texts[f.file] = strings.Replace(texts[f.file], f.code, strings.ReplaceAll(f.wrong, "#", fmt.Sprintf("%q", f.name)), 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range texts {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(source, file)] = path
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "faults.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", path, "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building with faults: %v\n%s", err, out)
	}
	return binary
}
