package gate

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler"
)

func TestWhatIsLogged(t *testing.T) {
	var out bytes.Buffer
	j := newJournal(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	said := func(what, want string) {
		t.Helper()
		if got := strings.TrimSpace(out.String()); got != strings.TrimSpace(want) {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
		out.Reset()
	}
	outcome := func(k Kind, name string, r Result, words string, after time.Duration) Outcome {
		o := Outcome{Action: Action{Kind: k, Workload: orders, Name: name, UID: name, Sentence: "10 fit"}, Result: r, Said: words, At: start.Add(after)}
		if k == Evict {
			o.Reason, o.Sentence = policy.Shed, "8 are too many"
		}
		return o
	}
	j.note(outcome(Admit, "a", Done, "", 0))
	j.note(outcome(Admit, "b", Done, "", 100*time.Millisecond))
	other := outcome(Admit, "c", Done, "", 200*time.Millisecond)
	other.Workload = metrics.ID{Namespace: "shop", Name: "invoice-workers"}
	j.note(other)
	j.note(outcome(Stamp, "d", Done, "", 0))
	j.flush(start.Add(900*time.Millisecond), false)
	said("within the second", "")
	if due, waits := j.due(start.Add(900 * time.Millisecond)); !waits || due != 100*time.Millisecond {
		t.Errorf("due in %s, %v", due, waits)
	}
	j.flush(start.Add(time.Second), false)
	said("after it", `level=INFO msg="pods admitted" workload=shop/order-workers pods=2 first=a sentence="10 fit"`)
	j.flush(start.Add(time.Second), true)
	said("at the end", `level=INFO msg="pods admitted" workload=shop/invoice-workers pods=1 first=c sentence="10 fit"`)
	if _, waits := j.due(start); waits {
		t.Error("something is left")
	}

	j.note(outcome(Evict, "a", Done, "", 0))
	said("an eviction", `level=INFO msg="pod evicted" workload=shop/order-workers pod=a reason=Shed sentence="8 are too many" deleted=false`)
	const blocked = `level=WARN msg="a pod can't be evicted" workload=shop/order-workers pod=b result=blocked said="budget orders" sentence="8 are too many"`
	for range 3 {
		j.note(outcome(Evict, "b", Blocked, "budget orders", 0))
	}
	said("kept again and again", blocked)
	j.note(outcome(Evict, "b", Done, "", 0))
	out.Reset()
	j.note(outcome(Evict, "b", Blocked, "budget orders", 0))
	said("kept anew", blocked)
	for _, name := range []string{"a", "b", "c"} {
		j.note(outcome(Admit, name, Denied, "may not patch", 0))
		j.note(outcome(Admit, name, Stale, "", 0))
	}
	said("nobody may", `level=WARN msg="a pod can't be let through the gate" workload=shop/order-workers pod=a result=denied said="may not patch" sentence="10 fit"`)
}

func TestWhatIsCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	count := Count(scaler.NewTelemetry(registry, buildinfo.Info{}))
	count(Outcome{Action: Action{Kind: Admit, Workload: orders, CreatedAt: start}, Result: Done, At: start.Add(time.Minute)})
	count(Outcome{Action: Action{Kind: Admit, Workload: orders}, Result: Stale})
	count(Outcome{Action: Action{Kind: Evict, Workload: orders, Reason: policy.Shed}, Result: Blocked})
	count(Outcome{Action: Action{Kind: Stamp, Workload: orders}, Result: Gone})
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP headroom_admissions_total Pods that were let through the scheduling gate.
# TYPE headroom_admissions_total counter
headroom_admissions_total{namespace="shop",workload="order-workers"} 1
# HELP headroom_evictions_total Attempts to take a pod away, by why and how they ended.
# TYPE headroom_evictions_total counter
headroom_evictions_total{namespace="shop",reason="Shed",result="blocked",workload="order-workers"} 1
# HELP headroom_pod_requests_total Attempts to write to a pod or to take one away, by how they ended.
# TYPE headroom_pod_requests_total counter
headroom_pod_requests_total{action="Admit",result="ok"} 1
headroom_pod_requests_total{action="Admit",result="stale"} 1
headroom_pod_requests_total{action="Evict",result="blocked"} 1
headroom_pod_requests_total{action="Stamp",result="gone"} 1
`), "headroom_admissions_total", "headroom_evictions_total", "headroom_pod_requests_total"); err != nil {
		t.Error(err)
	}
}
