package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/keda-headroom/headroom/e2e/bench/result"
	"github.com/keda-headroom/headroom/e2e/contender"
	"github.com/keda-headroom/headroom/e2e/scenario"
)

// Files of a report, besides a chart for each scenario.
const (
	Results = "results.jsonl"
	Page    = "README.md"
)

// Write writes the page and the charts of results into a directory. Scenarios
// and contenders that were not run are left out.
func Write(dir string, results []result.Result, scenarios []scenario.Scenario, contenders []contender.Contender) error {
	if len(results) == 0 {
		return errors.New("there are no results to report")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	page := page{results: results, scenarios: scenarios, contenders: contenders}
	for _, s := range scenarios {
		panels := page.panels(s)
		if len(panels) == 0 {
			continue
		}
		svg, err := chart(s, panels)
		if err != nil {
			return fmt.Errorf("the chart of %s: %w", s.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, s.Name+".svg"), svg, 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, Page), page.markdown(), 0o644) //nolint:gosec // for everybody to read
}
