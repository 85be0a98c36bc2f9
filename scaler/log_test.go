package scaler

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keda-headroom/headroom/policy"
)

func TestOneLineForEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		b := newBoard()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			LogChanges(ctx, b.State, log)
		}()
		said := func(want string, plans ...policy.WorkloadPlan) {
			t.Helper()
			b.publish(plans...)
			synctest.Wait()
			if got := strings.TrimSpace(out.String()); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			out.Reset()
		}
		p := policy.WorkloadPlan{ID: orders, Mode: policy.Target, Target: 4, Reason: policy.Demand, Sentence: "80 messages"}
		said(`level=INFO msg="workload governed" workload=shop/order-workers mode=Target to=4 reason=Demand sentence="80 messages"`, p)
		p.Sentence = "79 messages"
		said("", p)
		p.Target, p.Reason, p.Sentence, p.Binding = 6, policy.ConnectionBudget, "no more fit", "platform/orders-db server"
		said(`level=INFO msg="target changed" workload=shop/order-workers mode=Target from=4 to=6 reason=ConnectionBudget sentence="no more fit" binding="platform/orders-db server"`, p)
		p.Reason, p.Sentence, p.Binding = policy.FairShare, "others' share", ""
		said(`level=DEBUG msg="reason changed" workload=shop/order-workers mode=Target from=6 to=6 reason=FairShare sentence="others' share"`, p)
		p.Failure = "last read 61s ago"
		said(`level=WARN msg="no value for KEDA" workload=shop/order-workers mode=Target from=6 to=6 reason=FairShare sentence="others' share" failure="last read 61s ago"`, p)
		p.Failure = "last read 62s ago"
		said("", p)
		p.Failure = ""
		said(`level=INFO msg="a value for KEDA again" workload=shop/order-workers mode=Target from=6 to=6 reason=FairShare sentence="others' share"`, p)
		said(`level=INFO msg="workload no longer governed" workload=shop/order-workers`)
		cancel()
		<-done
	})
}
