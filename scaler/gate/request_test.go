package gate

import (
	"testing"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

var orders = metrics.ID{Namespace: "shop", Name: "order-workers"}

func TestRequests(t *testing.T) {
	pod := Action{Workload: orders, Name: "orders-1", UID: "u1", Term: "headroom-0_abc"}
	with := func(change func(*Action)) Action {
		a := pod
		change(&a)
		return a
	}
	const (
		patchAt  = "PATCH shop/orders-1 application/json-patch+json "
		mergeAt  = "PATCH shop/orders-1 application/merge-patch+json "
		evictAt  = "POST shop/orders-1/eviction application/json "
		deleteAt = "DELETE shop/orders-1 application/json "
		tests    = `{"op":"test","path":"/metadata/uid","value":"u1"},{"op":"test","path":"/metadata/resourceVersion","value":"17"},` +
			`{"op":"test","path":"/spec/schedulingGates","value":[{"name":"keda-headroom.github.io/connections"}]},`
		remove    = `,{"op":"remove","path":"/spec/schedulingGates/0"}]`
		annotated = patchAt + `[` + tests +
			`{"op":"add","path":"/metadata/annotations/keda-headroom.github.io~1grant","value":"{\"platform/a\":2,\"platform/orders-db\":5}"}` + remove
		bare = patchAt + `[` + tests + `{"op":"test","path":"/metadata/annotations","value":null},` +
			`{"op":"add","path":"/metadata/annotations","value":{"keda-headroom.github.io/grant":"{\"platform/a\":2,\"platform/orders-db\":5}"}}` + remove
	)
	grant := map[string]int{"platform/orders-db": 5, "platform/a": 2}
	for name, c := range map[string]struct {
		action Action
		want   []string
	}{
		"a stamp": {
			with(func(a *Action) { a.Kind, a.Epoch = Stamp, "headroom-0_abc" }),
			[]string{mergeAt + `{"metadata":{"annotations":{"keda-headroom.github.io/epoch":"headroom-0_abc"},"uid":"u1"}}`},
		},
		"an admission": {
			with(func(a *Action) { a.Kind, a.Version, a.Grant, a.Annotated = Admit, "17", grant, true }),
			[]string{annotated},
		},
		"an admission of a pod that may have no annotations": {
			with(func(a *Action) { a.Kind, a.Version, a.Grant = Admit, "17", grant }),
			[]string{annotated, bare},
		},
		"an admission with nothing granted": {
			with(func(a *Action) { a.Kind, a.Version, a.Annotated = Admit, "17", true }),
			[]string{patchAt + `[` + tests + `{"op":"add","path":"/metadata/annotations/keda-headroom.github.io~1grant","value":"{}"}` + remove},
		},
		"an eviction": {
			with(func(a *Action) { a.Kind, a.Version = Evict, "17" }),
			[]string{evictAt + `{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"orders-1","namespace":"shop"},` +
				`"deleteOptions":{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u1","resourceVersion":"17"}}}`},
		},
		"an eviction past the budgets, of any version": {
			with(func(a *Action) { a.Kind, a.IgnoreDisruptionBudgets = Evict, true }),
			[]string{
				evictAt + `{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"orders-1","namespace":"shop"},` +
					`"deleteOptions":{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u1"}}}`,
				deleteAt + `{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u1"}}`,
			},
		},
		"nothing": {pod, nil},
	} {
		var got []string
		for _, r := range c.action.Requests() {
			sub := r.Subresource
			if sub != "" {
				sub = "/" + sub
			}
			got = append(got, r.Method+" "+r.Namespace+"/"+r.Name+sub+" "+r.ContentType+" "+string(r.Body))
		}
		if len(got) != len(c.want) {
			t.Fatalf("%s: %d requests, want %d", name, len(got), len(c.want))
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s:\n got %s\nwant %s", name, got[i], c.want[i])
			}
		}
	}
}

func TestActionsOfAPlan(t *testing.T) {
	invoices := metrics.ID{Namespace: "shop", Name: "invoice-workers"}
	plan := policy.Plan{Workloads: []policy.WorkloadPlan{
		{
			ID:         invoices,
			Stamps:     []policy.Stamp{{UID: "i1", Name: "i-1", Epoch: "me"}, {UID: "i2", Name: "i-2", Epoch: "me/2"}},
			Admissions: []policy.Admission{{UID: "i3", Name: "i-3", Version: "3", Grant: map[string]int{"a/b": 1}}, {UID: "i4", Name: "i-4"}},
		},
		{ID: metrics.ID{Namespace: "shop", Name: "idle"}},
		{
			ID:         orders,
			Admissions: []policy.Admission{{UID: "o1", Name: "o-1", Version: "5"}},
			Evictions:  []policy.Eviction{{UID: "o2", Name: "o-2", Version: "6", Reason: policy.Shed, Sentence: "too many"}},
		},
	}}
	snapshot := policy.Snapshot{Epoch: "me", Fleets: map[metrics.ID]metrics.Reading[metrics.Fleet]{
		invoices: metrics.Known(metrics.Fleet{Pods: []metrics.Pod{
			{UID: "i1", Version: "1", Epoch: "earlier"}, {UID: "i2", Version: "2", Epoch: "me"}, {UID: "i3", Version: "3", Epoch: "me"},
		}}, start),
	}}
	got := Actions(plan, snapshot)
	var names string
	for _, a := range got {
		names += string(a.Kind) + " " + a.UID + " " + a.Version + ", "
		if a.Term != "me" || a.Workload.Namespace != "shop" {
			t.Errorf("found %+v", a)
		}
	}
	if want := "Stamp i1 , Stamp i2 , Evict o2 6, Admit i3 3, Admit o1 5, "; names != want {
		t.Errorf("found %s, want %s", names, want)
	}
	if got[0].Epoch != "me" || got[1].Epoch != "me/2" {
		t.Errorf("found %+v", got[:2])
	}
	if !got[3].Annotated || got[4].Annotated {
		t.Errorf("a pod with a term on it has annotations, of another that isn't known: found %+v", got[3:])
	}
	if got[2].Reason != policy.Shed || got[2].Sentence != "too many" {
		t.Errorf("found %+v", got[2])
	}
	snapshot.Epoch = ""
	if got := Actions(plan, snapshot); got != nil {
		t.Errorf("who does not lead does nothing, found %+v", got)
	}
}
