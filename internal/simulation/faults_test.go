package simulation

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/internal/seeded"
)

// fault is a mistake that could be made in package policy.
type fault struct {
	name string
	file string
	// code and wrong are as in [seeded.Fault].
	code, wrong string
	// seed is that of a schedule that shows the mistake; 0 where none was looked
	// for since schedules became others: make faults does.
	seed int
}

var faults = []fault{
	{"terminating pods ignored", "fleet.go", `if p.Finished || (p.Gated`, `if p.Finished || (fault(#) && p.Terminating) || (p.Gated`, 27},
	{"ghosts not counted", "account.go", `c.OthersHighWater) - c.Ghosts`, `c.OthersHighWater) - unless(#, c.Ghosts)`, 22},
	{"high water forgotten", "identity.go", `c.OthersHighWater = max(c.OthersHighWater, high)`, `c.OthersHighWater = max(c.OthersHighWater, unless(#, high))`, 25},
	{"stale reading trusted", "identity.go", `data, ok := reading.At(now, p.MaxReadingAge)`, `data, ok := reading.At(now, p.MaxReadingAge*(1+1000*switched(#)))`, 5},
	{"only what is visible counts, not what was promised", "account.go", `c.Granted += f.on(c, p.grants)`, `c.Granted += f.on(c, either(#, p.observed, p.grants))`, 27},
	{"a pod's disappearance releases its grant", "fleet.go", `out.grants[i] = d.Grants[u.Database]`, `out.grants[i] = unless(#, d.Grants[u.Database])`, 1719},
	{"a departed pod's grant is never released", "fleet.go", `return u.server.unknown == "" && u.server.began.After(left)`, `return u.server.unknown == "" && u.server.began.After(left) && !fault(#)`, 1},
	{"reserve ignored", "identity.go", `reserve = max(reserve, p.Reserve.Up(c.Limit))`, `reserve = max(reserve, unless(#, p.Reserve.Up(c.Limit)))`, 1},
	{"an admission is forgotten until it is seen", "fleet.go", `admitted, issued := f.memory.Admitted[p.UID]
`, `admitted, issued := f.memory.Admitted[p.UID]
		issued = issued && !fault(#)
`, 5},
	{"an admission is repeated though it no longer fits", "admit.go", `if fits && free[k] < 0 {`, `if fits && free[k] < 0 && !fault(#) {`, 149},
	{"an admission in flight is given up at once", "fleet.go", `p.Gated && p.Version != a.Version`, `p.Gated && (fault(#) || p.Version != a.Version)`, 260},
	{"a role's limit is ignored", "fleet.go", `login == nil || slices.Contains(login.Constraints, c.Name) {`, `login == nil || slices.Contains(login.Constraints, c.Name) && !fault(#) {`, 11},
	{"replicas that are on their way are ignored", "fleet.go", `f.coming = max(0, f.podsFor(max(f.state.SpecReplicas, min(told, f.hi)))-f.staying)`, `f.coming = unless(#, max(0, f.podsFor(max(f.state.SpecReplicas, min(told, f.hi)))-f.staying))`, 0},
	{"what KEDA was told is forgotten", "fleet.go", `min(told, f.hi)))-f.staying)`, `min(unless(#, told), f.hi)))-f.staying)`, 0},
	{"a replica server is trusted", "identity.go", `case data.ReadOnly:`, `case data.ReadOnly && !fault(#):`, 0},
	{"two names for one server are counted apart", "identity.go", `		sv := byIdentity[memory[p.ID].Server]
		if sv == nil {
			sv = &server{`, `		sv := byIdentity[memory[p.ID].Server]
		if sv == nil || fault(#) {
			sv = &server{`, 0},
	{"an unread name hides its pods", "identity.go", `		if sv == nil { // it may have moved`, `		if fault(#) {
			sv = nil
		} else if sv == nil { // it may have moved`, 0},
	{"an unknown database does not freeze", "fleet.go", `if f.frozen == nil {
		f.frozen = &Refusal{reason, sentence}`, `if f.frozen == nil && !fault(#) {
		f.frozen = &Refusal{reason, sentence}`, 0},
	{"others need not be watched first", "ceiling.go", `if u.server.starting != "" {`, `if u.server.starting != "" && !fault(#) {`, 0},
	{"a rollout's surge is not set aside", "fleet.go", `if f.gates() || n == 0 {`, `if f.gates() || n == 0 || fault(#) {`, 0},
	{"other workloads' shares are ignored", "ceiling.go", `due := max(f.claim[k], f.need(f.share, k))`, `due := max(f.claim[k], unless(#, f.need(f.share, k)))`, 0},
	{"one connection too many", "account.go", `c.Budget = c.Limit -`, `c.Budget = int(switched(#)) + c.Limit -`, 0},
	{"one connection too many at the gate", "admit.go", `f.cost[k] > free[k]) {`, `f.cost[k] > free[k]+int(switched(#))) {`, 0},
	{"activation ignores the ceiling", "target.go", `return value, f.wanted() && p.Target > 0 && p.Target >= f.state.MinReplicas`, `return value, fault(#) && f.demand.Smoothed > 0 || f.wanted() && p.Target > 0 && p.Target >= f.state.MinReplicas`, 0},
	{"what a pod holds beyond its grant is forgotten", "fleet.go", `if p.observed[u] > p.grants[u] {`, `if p.observed[u] > p.grants[u] && !fault(#) {`, 0},
	{"what is leaving is as good as gone", "fleet.go", `return f.leaving[k] + f.needPods(f.staying+f.coming, k)`, `return unless(#, f.leaving[k]) + f.needPods(f.staying+f.coming, k)`, 0},
	{"a ghost hides in a grant that is not used yet", "account.go", `if ready == p.opened(s) {`, `if ready == (fault(#) || p.opened(s)) {`, 0},
	{"any term fences", "fleet.go", `return f.epoch != "" && ours && (`, `return f.epoch != "" && (ours || fault(#) && p.Epoch != "") && (fault(#) || `, 0},
	{"a pod without a term is fenced", "fleet.go", `rest, ours := strings.CutPrefix(p.Epoch, f.epoch)`, `rest, ours := strings.CutPrefix(either(#, f.epoch, p.Epoch), f.epoch)`, 0},
	{"a pod that passed unseen leaves nothing behind", "decide.go", "if !f.holds(a.UID) {\n\t\t\t// It may pass", "if !f.holds(a.UID) && !fault(#) {\n\t\t\t// It may pass", 0},
	{"an admission that is taken back is gone at once", "decide.go", `pd.Gated && issued {`,
		`pd.Gated && issued && !(fault(#) && slices.ContainsFunc(p.Stamps, func(s Stamp) bool { return s.UID == pd.UID })) {`, 0},
	{"what is taken back is carried", "decide.go", `if !pd.promised || slices`, `if fault(#) || !pd.promised || slices`, 0},
	{"what is repeated is not limited while the database is unknown", "admit.go", `f.beyondCarried() {`, `f.beyondCarried() && !fault(#) {`, 0},
	{"what is held is taken for a pod's that waits", "account.go", "if p.promised {\n\t\t\t\tcontinue", "if p.promised && !fault(#) {\n\t\t\t\tcontinue", 0},
	{"running pods are shed for what is their own", "shed.go", `(c.Ghosts - c.doubled)`, `(c.Ghosts - unless(#, c.doubled))`, 0},
	{"a workload without a first pod waits behind others' tenth", "allocate.go", `case n == 1 && f.demand.Raw >= 1:`, `case n == 1 && f.demand.Raw >= 1 && !fault(#):`, 0},
}

// TestFaults seeds one mistake after the other into the real source of package
// policy and expects the closed loop to notice each: a proof that TestClosedLoop
// can fail.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Log("building the simulation with faults takes a while: not done with -short")
		return
	}
	var all []seeded.Fault
	for _, f := range faults {
		all = append(all, seeded.Fault{Name: f.name, File: "policy/" + f.file, Code: f.code, Wrong: f.wrong})
	}
	binary, err := seeded.Build(t.TempDir(), "./internal/simulation", all)
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, seed int, count string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestClosedLoop$", "-test.v")
		cmd.Env = append(os.Environ(), seeded.Switch+"="+name, "HEADROOM_SCHEDULES="+count, "HEADROOM_SEED="+strconv.Itoa(seed))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("", 1, "300"); err != nil {
		t.Fatalf("without a fault the build for faults must pass: %v\n%s", err, out)
	}
	for _, f := range faults {
		if f.seed == 0 && os.Getenv("HEADROOM_FAULTS") != "all" {
			continue // nobody has looked yet which schedule shows it: make faults
		}
		t.Run(f.name, func(t *testing.T) {
			out, err := run(f.name, f.seed, "1")
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
