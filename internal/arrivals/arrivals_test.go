package arrivals_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keda-headroom/headroom/internal/arrivals"
)

func TestRealTraces(t *testing.T) {
	for name, want := range map[string]struct {
		total  float64
		counts int
		days   int
	}{
		"elb_request_count.csv":   {249327, 4032, 14},
		"twitter_volume_amzn.csv": {843768, 15831, 54},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		trace, err := arrivals.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if trace.Total() != want.total || len(trace.Intervals) != want.counts || int(trace.Length()/(24*time.Hour)) != want.days {
			t.Errorf("%s: %v messages in %d intervals over %s, want %+v", name, trace.Total(), len(trace.Intervals), trace.Length(), want)
		}
	}
}

func TestForms(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{
		"csv with names":        "timestamp,value\n2026-03-01 12:00:00,3\n2026-03-01 12:01:00,0\n2026-03-01 12:02:00,2.5\n",
		"csv in RFC 3339":       "2026-03-01T13:00:00+01:00,3\n2026-03-01T12:01:00Z,0\n2026-03-01T12:02:00Z,2.5\n",
		"csv in seconds":        "1772366400,3\n1772366460,0,whatever\n1772366520,2.5\n",
		"csv with a mark":       "\ufeff# counts\ntime,n\n1772366400,3\n1772366460,0\n1772366520,2.5\n",
		"get-metric-data":       `{"MetricDataResults":[{"Id":"age","Label":"ApproximateAgeOfOldestMessage","Timestamps":[],"Values":[]},{"Id":"m1","Label":"NumberOfMessagesSent","Timestamps":["2026-03-01T12:02:00+00:00","2026-03-01T12:01:00+00:00","2026-03-01T12:00:00+00:00"],"Values":[2.5,0,3],"StatusCode":"Complete"}]}`,
		"get-metric-statistics": `{"Label":"NumberOfMessagesSent","Datapoints":[{"Timestamp":"2026-03-01T12:01:00Z","Sum":0,"Unit":"Count"},{"Timestamp":"2026-03-01T12:00:00Z","Sum":3},{"Timestamp":"2026-03-01T12:02:00Z","Sum":2.5}]}`,
	} {
		trace, err := arrivals.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !trace.Start.Equal(start) || trace.Total() != 5.5 || trace.Length() != 3*time.Minute || len(trace.Intervals) != 3 {
			t.Errorf("%s: %+v", name, trace)
		}
	}
}

func TestWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "expected at least one count",
		"a,b\nc,d\n":                   `line 2: expected a time such as`,
		"1772366400,-1\n":              "line 1: expected a count of 0 or more, found -1",
		"1772366400,NaN\n":             "line 1: expected a count of 0 or more, found NaN",
		"1772366400,x\n":               `line 1: expected a number of messages, found "x"`,
		"1772366400\n":                 "line 1: expected timestamp,value",
		"1772366400,1\n1772366400,2\n": "line 2: expected each time once",
		"1,1\n1772366400,2\n":          "line 2: expected a trace of at most 3660 days",
		"1772366400,1e300\n":           "expected at most 1000000000000 messages",
		`{"MetricDataResults":[]}`:     "expected Datapoints, or a result labeled NumberOfMessagesSent, found nothing else",
		`{"Datapoints":[{"Timestamp":"2026-03-01T12:01:00Z","Average":0}]}`:                       "Datapoints[0]: expected a Sum",
		`{"MetricDataResults":[{"Label":"x","Timestamps":["2026-03-01T12:01:00Z"],"Values":[]}]}`: "expected as many Values as Timestamps",
		`{"MetricDataResults":7}`: "expected what `aws cloudwatch",
	} {
		if _, err := arrivals.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: expected %q, found %v", text, want, err)
		}
	}
}

// A gap in the data is silence, and not a long interval.
func TestGap(t *testing.T) {
	trace, err := arrivals.Parse([]byte("0,5\n60,5\n120,5\n3600,5\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := trace.Intervals[2]; got.Length != time.Minute {
		t.Errorf("before the gap: %+v", got)
	}
	if part, err := trace.Cut(time.Minute, 3*time.Minute); err != nil || part.Total() != 10 || part.Intervals[0].At != 0 || !part.Start.Equal(trace.Start.Add(time.Minute)) {
		t.Errorf("cut: %+v, %v", part, err)
	}
	if _, err := trace.Cut(time.Hour*2, time.Hour*3); err == nil {
		t.Error("an empty part is no trace")
	}
}

// Whatever the counts and the scale: as many messages as are counted, each inside
// its interval, in order, and the same for the same seed.
func TestStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trace := arrivals.Trace{Start: time.Unix(0, 0)}
		at := time.Duration(0)
		for range rapid.IntRange(1, 20).Draw(t, "intervals") {
			length := time.Duration(rapid.IntRange(1, 600).Draw(t, "seconds")) * time.Second
			trace.Intervals = append(trace.Intervals, arrivals.Interval{At: at, Length: length, Count: float64(rapid.IntRange(0, 300).Draw(t, "count")) / 4})
			at += length + time.Duration(rapid.IntRange(0, 60).Draw(t, "gap"))*time.Second
		}
		scale := rapid.Float64Range(0, 5).Draw(t, "scale")
		a, b := trace.Stream(scale, 7), trace.Stream(scale, 7)
		last, n := time.Duration(-1), 0
		for {
			at, ok := a.Next()
			other, same := b.Next()
			if at != other || ok != same {
				t.Fatalf("the same seed gave %v and %v", at, other)
			}
			if !ok {
				break
			}
			if at < last || at >= trace.Length() {
				t.Fatalf("message at %v after %v, of a trace of %v", at, last, trace.Length())
			}
			last = at
			n++
		}
		if want := trace.Total() * scale; float64(n) < want-1 || float64(n) > want+1e-3 {
			t.Fatalf("%d messages of %v", n, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("timestamp,value\n2026-03-01 12:00:00,3\n"))
	f.Add([]byte(`{"Datapoints":[{"Timestamp":"2026-03-01T12:01:00Z","Sum":2}]}`))
	f.Add([]byte(`{"MetricDataResults":[{"Label":"x","Timestamps":["2026-03-01T12:01:00Z"],"Values":[1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := arrivals.Parse(data)
		if err != nil {
			return
		}
		end := time.Duration(0)
		for _, i := range trace.Intervals {
			if i.At < end || i.Length <= 0 || i.Count < 0 {
				t.Fatalf("%+v after %v", i, end)
			}
			end = i.At + i.Length
		}
	})
}
