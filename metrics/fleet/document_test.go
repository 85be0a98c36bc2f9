package fleet

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// same compares fleets. An empty grant is written as none.
var same = cmp.Options{cmpopts.EquateEmpty(), cmp.AllowUnexported(intorpercent.Value{})}

func TestTheDocumentInThePackageComment(t *testing.T) {
	source, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	for line := range strings.Lines(source.Doc.Text()) {
		if strings.HasPrefix(line, "\t") {
			example.WriteString(line)
		}
	}
	got, err := Parse([]byte(example.String()))
	if err != nil {
		t.Fatal(err)
	}
	want := map[metrics.ID]metrics.Fleet{{Namespace: "shop", Name: "order-workers"}: {
		SpecReplicas: 3, StatusReplicas: 2, MaxReplicas: 100, MaxSurge: intorpercent.Percent(25), MaxUnavailable: intorpercent.Percent(25),
		HPA:  metrics.HPA{ScaleDownToleranceMilli: 100, ScaleDownStabilization: 5 * time.Minute},
		Jobs: &metrics.Jobs{Strategy: metrics.JobsCustom, Running: 3, Pending: 1, Newest: noon, Deduction: 2, RunningShare: 0.5, Disposable: true},
		Pods: []metrics.Pod{{
			UID: "0f5a…", Name: "order-workers-6d4cf56db6-x7vkq", Version: "81417", Epoch: "headroom-0_f3a9", Address: "10.0.3.17", CreatedAt: noon,
			Revision: 4, Started: true, Ready: true, Grant: map[string]int{"platform/orders-db": 5},
		}},
	}}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}

	// It shows everything there is: whoever adds a field to it adds it there.
	for _, of := range []reflect.Type{reflect.TypeFor[metrics.Fleet](), reflect.TypeFor[metrics.HPA](), reflect.TypeFor[metrics.Jobs](), reflect.TypeFor[metrics.Pod]()} {
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(example.String(), `"`+name+`"`) {
				t.Errorf("the package comment doesn't show %s of %s", name, of)
			}
		}
	}
}

// fill sets everything in value to something that isn't zero, different each time.
func fill(t *testing.T, value reflect.Value, n *int64) {
	*n++
	switch into := value.Addr().Interface().(type) {
	case *time.Time:
		*into = noon.Add(time.Duration(*n) * time.Second)
		return
	case *intorpercent.Value:
		*into = intorpercent.Percent(int(*n))
		return
	case *map[string]int:
		*into = map[string]int{fmt.Sprintf("platform/db-%d", *n): int(*n), "platform/empty": 0}
		return
	}
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			fill(t, value.Field(i), n)
			if value.Type().Field(i).Name == "Address" {
				value.Field(i).SetString(netip.AddrFrom4([4]byte{10, 0, byte(*n >> 8), byte(*n)}).String())
			}
		}
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 3, 3))
		for i := range value.Len() {
			fill(t, value.Index(i), n)
		}
	case reflect.String:
		value.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, value.Elem(), n)
	case reflect.Float64:
		value.SetFloat(float64(*n) / 4)
	case reflect.Int, reflect.Int64:
		value.SetInt(*n)
	default:
		t.Fatalf("a field of type %s is new: teach this test, and Parse, about it", value.Type())
	}
}

// TestEverythingIsReadBack fails when a field is added to metrics.Fleet that
// Parse doesn't know.
func TestEverythingIsReadBack(t *testing.T) {
	want := make(map[metrics.ID]metrics.Fleet)
	var n int64
	for _, name := range []string{"orders", "billing", "Ω \"quoted\"", "a.b"} {
		var fleet metrics.Fleet
		fill(t, reflect.ValueOf(&fleet).Elem(), &n)
		want[metrics.ID{Namespace: "shop", Name: name}] = fleet
	}
	want[metrics.ID{Namespace: "shop", Name: "none"}] = metrics.Fleet{}
	text, err := Format(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	again, err := Format(got)
	if err != nil || string(again) != string(text) {
		t.Errorf("written again it differs (%v):\n%s", err, cmp.Diff(string(text), string(again)))
	}
}

func TestNoWorkloads(t *testing.T) {
	for _, fleets := range []map[metrics.ID]metrics.Fleet{nil, {}} {
		text, err := Format(fleets)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(text); err != nil || got == nil || len(got) != 0 {
			t.Errorf("%s was read as %v, %v; want an empty map", text, got, err)
		}
	}
	if _, err := Format(map[metrics.ID]metrics.Fleet{{Namespace: "a", Name: "b"}: {Pods: []metrics.Pod{{CreatedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}}}); err == nil {
		t.Error("the year 10000 was written")
	}
}

func TestPodsComeOldestFirst(t *testing.T) {
	got, err := Parse([]byte(fleetDocument(`"pods": [
		{"uid": "c", "name": "x", "createdAt": "2026-03-01T12:00:01Z"},
		{"uid": "b", "name": "y", "createdAt": "2026-03-01T13:00:00+01:00"},
		{"uid": "a", "name": "z", "createdAt": "2026-03-01T12:00:00Z"}]`)))
	if err != nil {
		t.Fatal(err)
	}
	var order string
	for _, pod := range got[metrics.ID{Namespace: "shop", Name: "orders"}].Pods {
		order += pod.UID
	}
	if order != "abc" {
		t.Errorf("pods come as %s, want abc", order)
	}
}

// fleetDocument is one with a fleet of these members besides the required.
func fleetDocument(members string) string {
	return `{"fleets": {"shop/orders": {"specReplicas": 1, "statusReplicas": 1, ` + members + `}}}`
}

// podDocument is one with a pod of these members besides the required.
func podDocument(members string) string {
	return fleetDocument(`"pods": [{"uid": "u", "name": "n", "createdAt": "2026-03-01T12:00:00Z", ` + members + `}]`)
}

func TestValues(t *testing.T) {
	fleet := func(text string) metrics.Fleet {
		t.Helper()
		got, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		return got[metrics.ID{Namespace: "shop", Name: "orders"}]
	}
	for text, want := range map[string]time.Duration{`"5m"`: 5 * time.Minute, `"0s"`: 0, `300000000000`: 5 * time.Minute, `0`: 0, `"1h30m"`: 90 * time.Minute} {
		if got := fleet(fleetDocument(`"hpa": {"scaleDownStabilization": ` + text + `}`)).HPA.ScaleDownStabilization; got != want {
			t.Errorf("a stabilization of %s was read as %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]intorpercent.Value{`3`: intorpercent.Count(3), `"3"`: intorpercent.Count(3), `"25%"`: intorpercent.Percent(25)} {
		if got := fleet(fleetDocument(`"maxSurge": ` + text)).MaxSurge; got != want {
			t.Errorf("a surge of %s was read as %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`""`: "", `"10.0.0.1"`: "10.0.0.1", `"2001:DB8:0::1"`: "2001:db8::1", `"::ffff:10.0.0.1"`: "10.0.0.1", `"\u0031.1.1.1"`: "1.1.1.1",
	} {
		if got := fleet(podDocument(`"address": ` + text)).Pods[0].Address; got != want {
			t.Errorf("an address of %s was read as %q, want %q", text, got, want)
		}
	}
	if got := fleet(fleetDocument(`"maxReplicas": 2147483647`)).MaxReplicas; got != 1<<31-1 {
		t.Errorf("the largest count was read as %d", got)
	}
	// No grant and an empty one differ: the pod was never gated, or holds nothing.
	if got := fleet(podDocument(`"ready": false`)).Pods[0].Grant; got != nil {
		t.Errorf("no grant was read as %v", got)
	}
	if got := fleet(podDocument(`"grant": {}`)).Pods[0].Grant; got == nil {
		t.Error("an empty grant was read as none")
	}
}

func TestMistakesAreNamed(t *testing.T) {
	const fleet, pod = `fleets["shop/orders"]`, `fleets["shop/orders"].pods[0]`
	for _, test := range []struct{ document, want string }{
		{``, "expected a JSON document, found nothing"},
		{" \n", "expected a JSON document, found nothing"},
		{"{\n  \"fleets\": {,}\n}", "expected JSON: line 2, column 14: invalid character ','"},
		{`{"fleets": {}`, "expected JSON: line 1, column 13: unexpected end"},
		{`{"fleets": {}} {}`, "expected JSON: line 1, column 16: invalid character '{' after top-level value"},
		{"{\"fleets\": \xff}", "expected UTF-8 text"},
		{`[]`, "document: expected an object, found an array"},
		{`null`, "document: expected an object, found null"},
		{`{}`, "fleets: expected a value, found none"},
		{`{"fleets": null}`, "fleets: expected an object, found null"},
		{`{"fleets": {}, "fleets": {}}`, "fleets: expected it once, found it again"},
		{`{"fleets": {}, "Fleets": {}}`, "Fleets: unknown field; expected one of fleets"},
		{`{"fleets": {"orders": {}}}`, `fleets.orders: expected NAMESPACE/NAME, found "orders" as the name of a workload`},
		{`{"fleets": {"": {}}}`, `fleets[""]: expected NAMESPACE/NAME, found ""`},
		{`{"fleets": {"shop/orders": 3}}`, fleet + ": expected an object, found 3"},
		{`{"fleets": {"shop/orders": {"statusReplicas": 1}}}`, fleet + ".specReplicas: expected a value, found none"},
		{`{"fleets": {"shop/orders": {"specReplicas": 1}}}`, fleet + ".statusReplicas: expected a value, found none"},
		{`{"fleets": {"shop/orders": {"specReplicas": 1, "statusReplicas": 1}, "shop/orders": {}}}`, fleet + ": expected it once, found it again"},

		{fleetDocument(`"minReplicas": -1`), fleet + ".minReplicas: expected a whole number from 0 to 2147483647, found -1"},
		{fleetDocument(`"maxReplicas": 2147483648`), fleet + ".maxReplicas: expected a whole number from 0 to 2147483647, found 2147483648"},
		{fleetDocument(`"maxReplicas": 1.5`), ".maxReplicas: expected a whole number from 0 to 2147483647, found 1.5"},
		{fleetDocument(`"maxReplicas": 1e2`), ".maxReplicas: expected a whole number from 0 to 2147483647, found 1e2"},
		{fleetDocument(`"maxReplicas": "3"`), `.maxReplicas: expected a whole number from 0 to 2147483647, found "3"`},
		{fleetDocument(`"maxReplicas": null`), ".maxReplicas: expected a whole number from 0 to 2147483647, found null"},
		{fleetDocument(`"maxReplicas": 99999999999999999999`), "found 99999999999999999999"},
		{fleetDocument(`"maxReplica": 3`), fleet + ".maxReplica: unknown field; expected one of hpa, jobs, maxReplicas, maxSurge, maxUnavailable, minReplicas, ordered, pods, specReplicas, statusReplicas"},
		{fleetDocument(`"MaxReplicas": 3`), fleet + ".MaxReplicas: unknown field"},
		{fleetDocument(`"maxSurge": -3`), fleet + `.maxSurge: expected a whole number of 0 or more, or a percentage such as "25%", found -3`},
		{fleetDocument(`"maxSurge": null`), fleet + ".maxSurge: expected a whole number"},
		{fleetDocument(`"maxUnavailable": "-1%"`), fleet + `.maxUnavailable: expected a whole number of 0 or more, or a percentage such as "25%", found "-1%"`},
		{fleetDocument(`"ordered": "OrderedReady"`), fleet + `.ordered: expected true or false, found "OrderedReady"`},
		{fleetDocument(`"jobs": {"running": 1, "newest": 5}`), fleet + `.jobs.newest: expected a time such as "2026-03-01T12:00:00Z", found 5`},
		{fleetDocument(`"jobs": {"running": 1, "disposable": 1}`), fleet + ".jobs.disposable: expected true or false, found 1"},
		{podDocument(`"version": ""`), pod + `.version: expected a text that is not empty, found ""`},
		{podDocument(`"version": 81417`), pod + ".version: expected a text that is not empty, found 81417"},
		{podDocument(`"epoch": null`), pod + ".epoch: expected a text that is not empty, found null"},
		{podDocument(`"started": "Running"`), pod + `.started: expected true or false, found "Running"`},
		{fleetDocument(`"hpa": []`), fleet + ".hpa: expected an object, found an array"},
		{fleetDocument(`"hpa": {"tolerance": 1}`), fleet + ".hpa.tolerance: unknown field; expected one of scaleDownStabilization, scaleDownToleranceMilli"},
		{fleetDocument(`"hpa": {"scaleDownToleranceMilli": -1}`), fleet + ".hpa.scaleDownToleranceMilli: expected a whole number"},
		{fleetDocument(`"hpa": {"scaleDownStabilization": "-5m"}`), fleet + `.hpa.scaleDownStabilization: expected a duration of 0 or more such as "5m", found "-5m"`},
		{fleetDocument(`"hpa": {"scaleDownStabilization": "5 minutes"}`), `found "5 minutes"`},
		{fleetDocument(`"hpa": {"scaleDownStabilization": -1}`), fleet + ".hpa.scaleDownStabilization: expected a whole number from 0 to 9223372036854775807, found -1"},
		{fleetDocument(`"hpa": {"scaleDownStabilization": null}`), "found null"},
		{fleetDocument(`"jobs": {"pending": 1}`), fleet + ".jobs.running: expected a value, found none"},
		{fleetDocument(`"jobs": {"running": 1, "runningShare": "half"}`), fleet + `.jobs.runningShare: expected a number that is 0 or more, found "half"`},
		{fleetDocument(`"jobs": {"running": 1, "runningShare": -0.5}`), fleet + ".jobs.runningShare: expected a number that is 0 or more, found -0.5"},
		{fleetDocument(`"jobs": {"running": 1, "runningShare": 1e999}`), fleet + ".jobs.runningShare: expected a number that is 0 or more"},
		// After a value of the wrong kind, reading goes on behind it.
		{fleetDocument(`"hpa": [{"a": [1, {}]}], "pods": {"x": [[]], "y": {}}, "maxReplicas": {"a": {}}, "surge": [{}], "minReplicas": -1`),
			fleet + ".hpa: expected an object, found an array\n" + fleet + ".pods: expected an array, found an object\n" +
				fleet + ".maxReplicas: expected a whole number from 0 to 2147483647, found an object\n" + fleet + ".surge: unknown field; expected one of " +
				"hpa, jobs, maxReplicas, maxSurge, maxUnavailable, minReplicas, ordered, pods, specReplicas, statusReplicas\n" + fleet + ".minReplicas: expected a whole number"},
		{fleetDocument(`"minReplicas": 1, "minReplicas": [{"a": 1}], "maxReplicas": -2`),
			fleet + ".minReplicas: expected it once, found it again\n" + fleet + ".maxReplicas: expected a whole number"},
		{fleetDocument(`"pods": {}`), fleet + ".pods: expected an array, found an object"},
		{fleetDocument(`"pods": null`), fleet + ".pods: expected an array, found null"},
		{fleetDocument(`"pods": [null]`), pod + ": expected an object, found null"},
		{fleetDocument(`"pods": [{}]`), pod + ".uid: expected a value, found none\n" + pod + ".name: expected a value, found none\n" + pod + ".createdAt: expected a value, found none"},

		{podDocument(`"uid": "v"`), pod + ".uid: expected it once, found it again"},
		{fleetDocument(`"pods": [{"uid": "", "name": 3, "createdAt": "noon"}]`), pod + `.uid: expected a text that is not empty, found ""` + "\n" +
			pod + ".name: expected a text that is not empty, found 3\n" + pod + `.createdAt: expected a time such as "2026-03-01T12:00:00Z", found "noon"`},
		{fleetDocument(`"pods": [{"uid": null, "name": "n", "createdAt": null}]`), pod + ".uid: expected a text that is not empty, found null\n" + pod + ".createdAt: expected a time"},
		{fleetDocument(`"pods": [{"uid": "u", "name": "n", "createdAt": "2026-03-01T12:00:00Z"}, {"uid": "u", "name": "m", "createdAt": "2026-03-01T12:00:00Z"}]`),
			`fleets["shop/orders"].pods[1].uid: expected a uid of its own, found "u", which ` + pod + ".uid has too"},
		{podDocument(`"address": "10.0.0"`), pod + `.address: expected an IP address or "", found "10.0.0"`},
		{podDocument(`"address": "fe80::1%eth0"`), pod + `.address: expected an IP address`},
		{podDocument(`"address": null`), pod + ".address: expected an IP address"},
		{podDocument(`"ordinal": -1`), pod + ".ordinal: expected a whole number"},
		{podDocument(`"revision": -1`), pod + ".revision: expected a whole number from 0 to 9223372036854775807, found -1"},
		{podDocument(`"ready": "true"`), pod + `.ready: expected true or false, found "true"`},
		{podDocument(`"gated": null`), pod + ".gated: expected true or false, found null"},
		{podDocument(`"phase": "Running"`), pod + ".phase: unknown field"},
		{podDocument(`"grant": null`), pod + ".grant: expected an object, found null"},
		{podDocument(`"grant": {"orders-db": 5}`), pod + `.grant["orders-db"]: expected NAMESPACE/NAME, found "orders-db" as the name of a database`},
		{podDocument(`"grant": {"platform/orders-db": -5}`), pod + `.grant["platform/orders-db"]: expected a whole number from 0 to 2147483647, found -5`},
		{podDocument(`"grant": {"a/b": 1, "a/b": 2}`), pod + `.grant["a/b"]: expected it once, found it again`},
		{podDocument(`"finished": "` + strings.Repeat("é", 1000) + `"`), "é…"},
	} {
		got, err := Parse([]byte(test.document))
		if err == nil {
			t.Errorf("%s was accepted as %+v", test.document, got)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s:\n%v\nwant an error with %s", test.document, err, test.want)
		}
		if got != nil {
			t.Errorf("%s was refused, yet gave %+v", test.document, got)
		}
	}
}

func TestAllMistakesAreNamedUpToABound(t *testing.T) {
	_, err := Parse([]byte(`{"fleets": {"a": {"specReplicas": 0, "statusReplicas": 0}, "shop/orders": {"specReplicas": -1, "pods": [{"uid": "u", "name": "", "createdAt": "2026-03-01T12:00:00Z"}]}}, "x": 1}`))
	if err == nil || strings.Count(err.Error(), "\n")+1 != 5 {
		t.Errorf("want all five mistakes, one a line:\n%v", err)
	}
	_, err = Parse([]byte(fleetDocument(`"pods": [` + strings.Repeat("3,", 99) + `3]`)))
	if err == nil || strings.Count(err.Error(), "\n") != maxMistakes || !strings.HasSuffix(err.Error(), "\nand 80 more") {
		t.Errorf("want %d mistakes and how many more:\n%v", maxMistakes, err)
	}
}

// FuzzParse holds that nothing panics, that nothing negative gets through, and
// that what is accepted is written as something that is read back the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"fleets": {}}`))
	f.Add([]byte(fleetDocument(`"minReplicas": 1, "maxSurge": "25%", "hpa": {"scaleDownStabilization": "5m", "scaleDownToleranceMilli": 100}`)))
	f.Add([]byte(podDocument(`"address": "10.0.0.1", "ready": true, "grant": {"a/b": 1, "a/c": 0}, "ordinal": 3, "revision": 9`)))
	f.Add([]byte(podDocument(`"gated": true, "otherGates": false, "terminating": true, "finished": true`)))
	f.Add([]byte(fleetDocument(`"maxUnavailable": "100%", "ordered": true, "jobs": {"running": 1, "disposable": true}`)))
	f.Add([]byte(podDocument(`"version": "12", "epoch": "a_b", "started": true`)))
	f.Add([]byte(fleetDocument(`"pods": [{}, null, {"uid": "u"}]`)))
	f.Add([]byte(`{"fleets": {"a/b": {"specReplicas": -1}}} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fleets, err := Parse(data)
		if err != nil {
			if fleets != nil || err.Error() == "" {
				t.Fatalf("refused with %q and %v", err, fleets)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is not JSON: %q", data)
		}
		for id, fleet := range fleets {
			lowest := min(fleet.SpecReplicas, fleet.StatusReplicas, fleet.MinReplicas, fleet.MaxReplicas, fleet.MaxSurge.Number(), fleet.MaxUnavailable.Number(),
				fleet.HPA.ScaleDownToleranceMilli, int(fleet.HPA.ScaleDownStabilization))
			for _, pod := range fleet.Pods {
				lowest = min(lowest, pod.Ordinal, int(pod.Revision))
				for _, connections := range pod.Grant {
					lowest = min(lowest, connections)
				}
				if pod.UID == "" || pod.Name == "" {
					t.Fatalf("%s has a pod without a uid or name: %+v", id, pod)
				}
			}
			if lowest < 0 {
				t.Fatalf("%s has a negative number: %+v", id, fleet)
			}
		}
		text, err := Format(fleets)
		if err != nil {
			t.Fatalf("%q was read but can't be written: %v", data, err)
		}
		back, err := Parse(text)
		if err != nil {
			t.Fatalf("%q was written as %s, which is refused: %v", data, text, err)
		}
		if diff := cmp.Diff(fleets, back, same); diff != "" {
			t.Fatalf("%q was read back differently: %s", data, diff)
		}
	})
}
