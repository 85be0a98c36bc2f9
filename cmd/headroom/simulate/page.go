package simulate

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
)

// The page holds everything that it needs. uPlot is under the MIT license, see
// assets/uPlot.LICENSE.
var (
	//go:embed assets/uPlot.iife.min.js
	plotScript string
	//go:embed assets/uPlot.min.css
	plotStyle string
	//go:embed assets/page.html
	pageText string
	//go:embed assets/page.js
	pageScript string
	//go:embed assets/page.css
	pageStyle string
)

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is the report as one HTML page.
func page(r Report) ([]byte, error) {
	// JSON from encoding/json has no <, > or &: it can't end the script.
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	lines := rows(r)
	var out bytes.Buffer
	err = pageTemplate.Execute(&out, map[string]any{
		"Title": "Simulation of " + r.Workload, "Summary": summary(r), "Header": lines[0], "Rows": lines[1:], "Reasons": reasons(r.Contenders[0]),
		"Notes": notes(r), "PlotScript": template.JS(plotScript), "PlotStyle": template.CSS(plotStyle), //nolint:gosec // embedded files
		"Script": template.JS(pageScript), "Style": template.CSS(pageStyle), //nolint:gosec // embedded files
		"Data": template.JS(data), //nolint:gosec // see above
	})
	return out.Bytes(), err
}
