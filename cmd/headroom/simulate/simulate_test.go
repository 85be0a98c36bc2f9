package simulate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/keda-headroom/headroom/cmd/headroom/simulate"
	"github.com/keda-headroom/headroom/internal/golden"
)

func options() simulate.Options {
	o := simulate.Defaults()
	o.Policies, o.Workload, o.Trace = []string{"testdata/policy.yaml"}, "order-workers", "testdata/morning.csv"
	o.SecondsPerMessage, o.Concurrency, o.DatabaseLimits, o.Others = 2, 5, []string{"97"}, 16
	o.MaxMessageAge, o.PodHourCost = time.Minute, 0.05
	o.Now = func() time.Time { return time.Time{} } // no time passes: it is as fast as can be
	return o
}

func run(t *testing.T, o simulate.Options) string {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := simulate.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A morning with a rush, as a person reads it.
func TestTable(t *testing.T) {
	with := options()
	spike := options()
	spike.Others, spike.OthersTrace, spike.MaxMessageAge = 0, "testdata/others.csv", 0
	spike.DatabaseLimits, spike.Service, spike.PodHourCost = []string{"orders-db=97"}, "heavy", 0
	for name, o := range map[string]simulate.Options{"morning": with, "spike": spike} {
		t.Run(name, func(t *testing.T) {
			golden.Compare(t, "testdata/"+name+".golden", run(t, o))
		})
	}
}

func TestJSON(t *testing.T) {
	o := options()
	o.Output = "json"
	var r simulate.Report
	if err := json.Unmarshal([]byte(run(t, o)), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Contenders) != 3 || r.Bounds == nil || r.Workload != "shop/order-workers" || r.Mode != "Target" || r.Trace.Messages != 5530 {
		t.Fatalf("found %+v", r)
	}
	h := r.Contenders[0]
	if h.Contender != "headroom" || h.OverBudget || int(h.Kept) > r.Bounds.Kept || h.OfReachable > 1 || h.Relative < 1 || r.Planner.Kept > r.Bounds.Kept || h.Dollars.Pods != h.PodHours*0.05 {
		t.Errorf("found %+v beside %+v", h, r.Bounds)
	}
}

// The page has everything in it: it asks nobody for anything.
func TestPageIsSelfContained(t *testing.T) {
	o := options()
	o.Output, o.OutputFile = "html", filepath.Join(t.TempDir(), "page.html")
	if out := run(t, o); out != "" {
		t.Errorf("expected nothing but the file, found %q", out)
	}
	text, err := os.ReadFile(o.OutputFile)
	if err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	elements, scripts := map[string]int{}, ""
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			elements[n.Data]++
			for _, a := range n.Attr {
				switch a.Key {
				case "src", "href", "srcset", "action", "data", "poster", "background":
					t.Errorf("<%s %s=%q>: expected nothing from elsewhere", n.Data, a.Key, a.Val)
				}
			}
			if n.Data == "script" || n.Data == "style" {
				scripts += n.FirstChild.Data
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	for _, word := range []string{"@import", "url(", "fetch(", "XMLHttpRequest", "importScripts", "WebSocket"} {
		if strings.Contains(scripts, word) {
			t.Errorf("expected no %s in the page's scripts and styles", word)
		}
	}
	// The one address is in uPlot's own license line.
	if n := strings.Count(string(text), "https://") + strings.Count(string(text), "http://"); n != strings.Count(string(text), "https://github.com/leeoniya/uPlot") {
		t.Errorf("expected no address but uPlot's, found %d", n)
	}
	if elements["table"] != 1 || elements["script"] != 3 || elements["link"] != 0 || elements["tr"] < 15 {
		t.Errorf("found %v", elements)
	}
	data := between(string(text), "const report = ", ";</script>")
	var r simulate.Report
	if err := json.Unmarshal([]byte(data), &r); err != nil || len(r.Contenders[0].Series.Pods) == 0 {
		t.Errorf("expected the report in the page, found %.80q, %v", data, err)
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

func TestFailBelowKept(t *testing.T) {
	o := options()
	o.FailBelowKept, o.MaxMessageAge = 100, 10*time.Second
	o.Out = &bytes.Buffer{}
	if err := simulate.Run(t.Context(), o); !errors.Is(err, simulate.ErrBelow) {
		t.Errorf("expected a rush to miss some, found %v", err)
	}
	o.FailBelowKept = 1
	if err := simulate.Run(t.Context(), o); err != nil {
		t.Error(err)
	}
	o.MaxMessageAge = 0
	if err := simulate.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "expected an objective") {
		t.Errorf("found %v", err)
	}
}

func TestWrong(t *testing.T) {
	var o simulate.Options
	o.Service, o.Mode, o.Output, o.Others, o.OthersTrace, o.FailBelowKept, o.DatabaseLimits = "x", "x", "x", 1, "x", 101, []string{"x"}
	o.StartUp = -1
	err := o.Validate()
	for _, want := range []string{
		"--policy:", "--trace:", "--scale:", "--service:", "--mode:", "--output:", "--others or --others-trace", "--fail-below-kept:", "--database-limit:", "--max-replicas:", "--start-up:",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in\n%v", want, err)
		}
	}
	for want, change := range map[string]func(o *simulate.Options){
		"--workload: expected one of shop/invoice-workers, shop/order-workers": func(o *simulate.Options) { o.Workload = "" },
		"--seconds-per-message: expected how long":                             func(o *simulate.Options) { o.SecondsPerMessage = 0 },
		`expected databases of shop/order-workers, found "stock-db"`:           func(o *simulate.Options) { o.DatabaseLimits = []string{"97", "stock-db=5"} },
		"--database-limit: expected one for shop/orders-db":                    func(o *simulate.Options) { o.DatabaseLimits = []string{"stock-db=5"} },
		"--from, --to: expected part of the trace":                             func(o *simulate.Options) { o.From = time.Hour },
		"no such file":                     func(o *simulate.Options) { o.Policies = []string{"nowhere.yaml"} },
		"morning.csv:1: expected policies": func(o *simulate.Options) { o.Policies = []string{"testdata/morning.csv"} },
		"testdata/policy.yaml: line 1":     func(o *simulate.Options) { o.Trace = "testdata/policy.yaml" },
	} {
		o := options()
		change(&o)
		if err := simulate.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q, found %v", want, err)
		}
	}
}
