package metrics

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTheZeroReadingIsUnknown(t *testing.T) {
	var reading Reading[int]
	if got, ok := reading.At(noon, time.Hour); ok || got != 0 {
		t.Errorf("At = %d, %v; want nothing", got, ok)
	}
	if _, ok := reading.Last(); ok {
		t.Error("Last has a value")
	}
	if !reading.Began().IsZero() || reading.Problem() != "" {
		t.Errorf("Began = %v, Problem = %q; want neither", reading.Began(), reading.Problem())
	}
	if got, want := reading.Why(noon, time.Hour), "not read yet"; got != want {
		t.Errorf("Why = %q, want %q", got, want)
	}
}

// TestLifeOfAReading follows one value from before it was known until it can't
// be used any more.
func TestLifeOfAReading(t *testing.T) {
	const maxAge = 30 * time.Second

	// The first attempts fail: unknown, never 0.
	reading := Unknown[int]("connection refused")
	if _, ok := reading.At(noon, maxAge); ok {
		t.Error("a value that was never read is used")
	}
	if got, want := reading.Why(noon, maxAge), "never read: connection refused"; got != want {
		t.Errorf("Why = %q, want %q", got, want)
	}

	// Then one succeeds. A value of 0 is a value.
	reading = Known(0, noon)
	if got, ok := reading.At(noon.Add(maxAge), maxAge); !ok || got != 0 {
		t.Errorf("at the very limit of its age: %d, %v; want 0, true", got, ok)
	}
	if got := reading.Why(noon.Add(maxAge), maxAge); got != "" {
		t.Errorf("Why = %q though it can be used", got)
	}

	// It ages, and nothing says why no newer one came.
	if _, ok := reading.At(noon.Add(maxAge+1), maxAge); ok {
		t.Error("used past its age")
	}
	if got, want := reading.Why(noon.Add(31*time.Second), maxAge), "last read 31s ago, older than the 30s allowed"; got != want {
		t.Errorf("Why = %q, want %q", got, want)
	}

	// Further attempts fail: value and time stay, so the age goes on counting.
	failed := reading.Failed("i/o timeout").Failed("connection reset")
	if got, ok := failed.At(noon.Add(10*time.Second), maxAge); !ok || got != 0 {
		t.Errorf("inside its age: %d, %v; want 0, true", got, ok)
	}
	if got := failed.Why(noon.Add(10*time.Second), maxAge); got != "" {
		t.Errorf("Why = %q though it can be used", got)
	}
	if got, want := failed.Why(noon.Add(45*time.Second), maxAge), "last read 45s ago: connection reset"; got != want {
		t.Errorf("Why = %q, want %q", got, want)
	}
	if !failed.Began().Equal(noon) {
		t.Errorf("Began = %v, want the time of the value, %v", failed.Began(), noon)
	}
	if reading.Problem() != "" {
		t.Error("Failed changed the reading it was called on")
	}

	// The next success clears the problem.
	if got := Known(1, noon.Add(time.Minute)).Problem(); got != "" {
		t.Errorf("Problem = %q after a success", got)
	}
}

func TestAnyAgeIsAccepted(t *testing.T) {
	for _, maxAge := range []time.Duration{0, -1} {
		if got, ok := Known(5, noon).At(noon.AddDate(10, 0, 0), maxAge); !ok || got != 5 {
			t.Errorf("with a maxAge of %d: %d, %v; want 5, true", maxAge, got, ok)
		}
		if _, ok := Unknown[int]("no").At(noon, maxAge); ok {
			t.Errorf("with a maxAge of %d an unknown value is used", maxAge)
		}
	}
}

func TestAReadingFromTheFutureCountsAsNow(t *testing.T) {
	if got, ok := Known(5, noon.Add(time.Hour)).At(noon, time.Second); !ok || got != 5 {
		t.Errorf("after the clock was set back: %d, %v; want 5, true", got, ok)
	}
}

func TestReadingJSON(t *testing.T) {
	for _, test := range []struct {
		name    string
		reading Reading[Queue]
		want    string
	}{
		{"zero", Reading[Queue]{}, `{}`},
		{"unknown", Unknown[Queue]("denied"), `{"problem":"denied"}`},
		{"known", Known(Queue{Visible: 3, FIFO: true}, noon),
			`{"value":{"visible":3,"inFlight":0,"delayed":0,"fifo":true},"beganAt":"2026-03-01T12:00:00Z"}`},
		{"an empty value is a value", Known(Queue{}, noon),
			`{"value":{"visible":0,"inFlight":0,"delayed":0},"beganAt":"2026-03-01T12:00:00Z"}`},
		{"failed since", Known(Queue{Delayed: 1}, noon).Failed("throttled"),
			`{"value":{"visible":0,"inFlight":0,"delayed":1},"beganAt":"2026-03-01T12:00:00Z","problem":"throttled"}`},
	} {
		got, err := json.Marshal(test.reading)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if string(got) != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		back := Unknown[Queue]("something to be overwritten")
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if back != test.reading {
			t.Errorf("%s: read back as %+v, want %+v", test.name, back, test.reading)
		}
	}
}

func TestReadingJSONRefuses(t *testing.T) {
	for _, test := range []struct{ give, want string }{
		{`{"value":{"visible":1}}`, "value but no beganAt"},
		{`{"value":"three","beganAt":"2026-03-01T12:00:00Z"}`, "cannot unmarshal string"},
		{`{"beganAt":"noon"}`, "noon"},
		{`[]`, "cannot unmarshal array"},
	} {
		before := Known(Queue{Visible: 9}, noon)
		reading := before
		err := json.Unmarshal([]byte(test.give), &reading)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", test.give, err, test.want)
		}
		if got, ok := reading.Last(); ok && got != (Queue{Visible: 9}) {
			t.Errorf("%s: left a half-read value %+v", test.give, got)
		}
	}
}

// FuzzReadingJSON holds that whatever is accepted is written as something that
// is read back the same.
func FuzzReadingJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"problem":"denied"}`, `{"value":3,"beganAt":"2026-03-01T12:00:00Z"}`,
		`{"value":0,"beganAt":"2026-03-01T12:00:00.123456789+02:00","problem":"x"}`, `{"value":1}`, `{"beganAt":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var reading Reading[int64]
		if json.Unmarshal(data, &reading) != nil {
			return
		}
		text, err := json.Marshal(reading)
		if err != nil {
			t.Fatalf("%s was read but can't be written: %v", data, err)
		}
		var back Reading[int64]
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s was written but can't be read: %v", text, err)
		}
		value, known := reading.Last()
		valueBack, knownBack := back.Last()
		if value != valueBack || known != knownBack || !reading.Began().Equal(back.Began()) || reading.Problem() != back.Problem() {
			t.Fatalf("%s came back as %+v, want %+v", text, back, reading)
		}
	})
}
