package trigger_test

import (
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/scaler/trigger"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		metadata map[string]string
		name     string // of the workload, or
		wrong    string // a part of the error
		metric   trigger.Metric
	}{
		{map[string]string{"workload": "a", "metric": "target"}, "a", "", trigger.Target},
		{map[string]string{"workload": "a", "metric": "ceiling"}, "a", "", trigger.Ceiling},
		{map[string]string{"workload": "a", "metric": "Ceiling"}, "", `expected metric in the trigger's metadata to be target or ceiling, or left out for target, found "Ceiling"`, ""},
		{map[string]string{"workload": "a", "metric": ""}, "", `found ""`, ""},
		{map[string]string{"workload": "a", "metricFromEnv": "ceiling"}, "", `found unknown "metricFromEnv"`, ""},
		{map[string]string{"scalerAddress": "headroom:6000", "workload": "order-workers"}, "order-workers", "", trigger.Target},
		{map[string]string{"scalerAddressFromEnv": "A", "enableTLS": "true", "unsafeSsl": "false", "workload": "a"}, "a", "", trigger.Target},
		{map[string]string{"workloadFromEnv": "a"}, "a", "", trigger.Target},
		{map[string]string{"workload": "a", "workloadFromEnv": "b"}, "", "found both", ""},
		{nil, "", "found none", ""},
		{map[string]string{"workload": ""}, "", "found nothing", ""},
		{map[string]string{"workload": "shop/a"}, "", `found "shop/a": leave the namespace out`, ""},
		{map[string]string{"workload": "a", "queueURL": "u", "Workload": "b"}, "", `found unknown "Workload", "queueURL"`, ""},
	} {
		asked, err := trigger.Parse("shop", c.metadata)
		switch {
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%v: expected an error with %q, found %v", c.metadata, c.wrong, err)
		case c.wrong == "" && (err != nil || asked != trigger.Asked{Workload: metrics.ID{Namespace: "shop", Name: c.name}, Metric: c.metric}):
			t.Errorf("%v: found %v, %v", c.metadata, asked, err)
		}
	}
}
