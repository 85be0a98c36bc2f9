package databaselimits_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keda-headroom/headroom/internal/databaselimits"
	"github.com/keda-headroom/headroom/metrics"
)

func TestLimits(t *testing.T) {
	orders, stock := metrics.ID{Namespace: "shop", Name: "orders-db"}, metrics.ID{Namespace: "shop", Name: "stock-db"}
	for _, test := range []struct {
		texts  []string
		orders int
		stock  int
		unused []string
	}{
		{nil, 0, 0, nil},
		{[]string{"97"}, 97, 97, nil},
		{[]string{"stock-db=5", "97"}, 97, 5, nil},
		{[]string{"orders-db=5", "shop/orders-db=6"}, 6, 0, nil},
		{[]string{"billing/orders-db=5", "b=7"}, 0, 0, []string{"b", "billing/orders-db"}},
	} {
		limits, err := databaselimits.Parse(test.texts)
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[metrics.ID]int{orders: test.orders, stock: test.stock} {
			if n, known := limits.Of(id); n != want || known != (want > 0) {
				t.Errorf("%v of %v: %d, %t, want %d", test.texts, id, n, known, want)
			}
		}
		if diff := cmp.Diff(test.unused, limits.Unused([]metrics.ID{orders, stock})); diff != "" {
			t.Errorf("%v: %s", test.texts, diff)
		}
	}
	if _, err := databaselimits.Parse([]string{"97", "x", "a=0", "a=b=3", "=10000001"}); err == nil || !strings.Contains(err.Error(), `found "x", "a=0", "a=b=3", "=10000001"`) {
		t.Errorf("%v", err)
	}
}
