package redact

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// plainLabels are the labels whose values are Headroom's own words, or those of the
// libraries that it is made of (docs/metrics.md).
var plainLabels = map[string]bool{
	"source": true, "stat": true, "state": true, "reason": true, "mode": true, "result": true, "service": true, "operation": true, "action": true,
	"version": true, "revision": true, "goversion": true, "grpc_type": true, "grpc_service": true, "grpc_method": true, "grpc_code": true,
	"le": true, "quantile": true,
}

// Metrics copies metrics in Prometheus' text format, with every label's value replaced
// that may be a name. Help texts are left out.
func (w *Words) Metrics(in io.Reader, out io.Writer) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(in)
	if err != nil {
		return fmt.Errorf("expected metrics in Prometheus' text format: %w", err)
	}
	encoder := expfmt.NewEncoder(out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		family.Help = nil
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if !plainLabels[label.GetName()] {
					value := strings.ToValidUTF8(w.text(label.GetName(), label.GetValue()), "?")
					label.Value = &value
				}
			}
		}
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	return nil
}
