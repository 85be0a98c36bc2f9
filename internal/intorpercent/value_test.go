package intorpercent

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Value{
		"0": {}, "3": Count(3), "2147483647": Count(math.MaxInt32),
		"0%": Percent(0), "25%": Percent(25), "100%": Percent(100), "250%": Percent(250),
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v; want %v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("Parse(%q) prints as %q", text, got)
		}
	}
	for _, bad := range []string{
		"", "%", "-1", "+1", "-0", "1.5", "25.5%", "25 %", " 3", "3 ", "25%%", "%25", "1e3", "0x10", "1_000",
		"NaN", "null", "three", "2147483648", "99999999999999999999", "٣",
	} {
		got, err := Parse(bad)
		if err == nil {
			t.Errorf("Parse(%q) = %v, want an error", bad, got)
			continue
		}
		if !strings.Contains(err.Error(), "whole number of 0 or more") {
			t.Errorf("Parse(%q): %v, want an error that says what is expected", bad, err)
		}
	}
}

func TestUpRoundsUp(t *testing.T) {
	for _, test := range []struct {
		value Value
		whole int
		want  int
	}{
		{Value{}, 10, 0},
		{Count(3), 10, 3},
		{Count(3), 0, 3}, // a count is itself whatever it is taken of
		{Percent(25), 0, 0},
		{Percent(25), 1, 1}, // 0.25, up
		{Percent(25), 4, 1},
		{Percent(25), 5, 2}, // 1.25, up
		{Percent(0), 100, 0},
		{Percent(1), 100, 1},
		{Percent(100), 7, 7},
		{Percent(150), 3, 5}, // 4.5, up
		{Percent(math.MaxInt32), math.MaxInt32, (math.MaxInt32*math.MaxInt32 + 99) / 100},
	} {
		if got := test.value.Up(test.whole); got != test.want {
			t.Errorf("%v of %d = %d, want %d", test.value, test.whole, got, test.want)
		}
	}
}

func TestValueKnowsWhatItIs(t *testing.T) {
	if v := Percent(25); !v.IsPercent() || v.Number() != 25 || v.IsZero() {
		t.Errorf("25%%: IsPercent %v, Number %d, IsZero %v", v.IsPercent(), v.Number(), v.IsZero())
	}
	if v := Count(3); v.IsPercent() || v.Number() != 3 || v.IsZero() {
		t.Errorf("3: IsPercent %v, Number %d, IsZero %v", v.IsPercent(), v.Number(), v.IsZero())
	}
	if !Count(0).IsZero() || Percent(0).IsZero() {
		t.Error("only the count 0 is zero")
	}
}

func TestJSON(t *testing.T) {
	type holder struct {
		MaxSurge Value `json:"maxSurge,omitzero"`
	}
	for text, want := range map[string]Value{
		`{}`: {}, `{"maxSurge":3}`: Count(3), `{"maxSurge":"25%"}`: Percent(25), `{"maxSurge":"0%"}`: Percent(0),
	} {
		var got holder
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.MaxSurge != want {
			t.Errorf("%s was read as %v, %v; want %v", text, got.MaxSurge, err, want)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("%v was written as %s, %v; want %s", want, back, err, text)
		}
	}
	var quoted holder
	if err := json.Unmarshal([]byte(`{"maxSurge":"3"}`), &quoted); err != nil || quoted.MaxSurge != Count(3) {
		t.Errorf(`"3" was read as %v, %v; want 3`, quoted.MaxSurge, err)
	}
	for _, bad := range []string{`-1`, `1.5`, `"-1%"`, `true`, `null`, `[3]`, `{}`, `""`} {
		got := holder{MaxSurge: Count(7)}
		if err := json.Unmarshal([]byte(`{"maxSurge":`+bad+`}`), &got); err == nil {
			t.Errorf("%s was accepted as %v", bad, got.MaxSurge)
		}
		if got.MaxSurge != Count(7) {
			t.Errorf("%s was refused but changed the value to %v", bad, got.MaxSurge)
		}
	}
}

// FuzzParse holds that whatever is accepted is in bounds and is printed as
// something that is read back the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0", "3", "25%", "007", "-1", "+1%", "2147483648", "%", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := Parse(text)
		if err != nil {
			if value != (Value{}) {
				t.Fatalf("Parse(%q) failed with the value %v", text, value)
			}
			return
		}
		if value.Number() < 0 || value.Number() > math.MaxInt32 {
			t.Fatalf("Parse(%q) = %v, out of bounds", text, value)
		}
		if got := value.Up(math.MaxInt32); got < 0 {
			t.Fatalf("%v of the largest whole is %d: overflow", value, got)
		}
		if back, err := Parse(value.String()); err != nil || back != value {
			t.Fatalf("Parse(%q) = %v, which is read back as %v, %v", text, value, back, err)
		}
	})
}

// FuzzUnmarshalJSON holds that whatever is accepted is written as something that
// is read back the same, also where it is called without a decoder before it.
func FuzzUnmarshalJSON(f *testing.F) {
	for _, seed := range []string{`0`, `3`, `"3"`, `"25%"`, `25%`, `null`, `"`, `""`, `"\u0033"`, `-1`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var value Value
		if value.UnmarshalJSON(data) != nil {
			return
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatalf("%s was read as %v but can't be written: %v", data, value, err)
		}
		var back Value
		if err := json.Unmarshal(text, &back); err != nil || back != value {
			t.Fatalf("%s was read as %v, written as %s, read back as %v, %v", data, value, text, back, err)
		}
	})
}
