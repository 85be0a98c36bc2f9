// Package intorpercent holds a number that is given as a count or as a
// percentage of something, as Kubernetes writes maxSurge: 3 or "25%".
package intorpercent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Value is a count or a percentage; both are 0 or more. The zero Value is the
// count 0.
type Value struct {
	n       int
	percent bool
}

// Count returns a Value that is n whatever it is taken of.
func Count(n int) Value { return Value{n: n} }

// Percent returns a Value that is n hundredths of what it is taken of.
func Percent(n int) Value { return Value{n: n, percent: true} }

// Parse reads "3" or "25%".
func Parse(text string) (Value, error) {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "-") || n > 1<<31-1 {
		return Value{}, fmt.Errorf("expected a whole number of 0 or more, or a percentage such as \"25%%\", found %q", text)
	}
	return Value{n: n, percent: percent}, nil
}

// IsPercent reports whether the value is a percentage.
func (v Value) IsPercent() bool { return v.percent }

// Number returns the count, or the number of hundredths of a percentage.
func (v Value) Number() int { return v.n }

// Up returns the value taken of whole, rounded up: 25 % of 5 is 2.
func (v Value) Up(whole int) int {
	if !v.percent {
		return v.n
	}
	return int((int64(v.n)*int64(whole) + 99) / 100)
}

// Down returns the value taken of whole, rounded down: 25 % of 5 is 1.
func (v Value) Down(whole int) int {
	if !v.percent {
		return v.n
	}
	return int(int64(v.n) * int64(whole) / 100)
}

// String returns "3" or "25%".
func (v Value) String() string {
	if v.percent {
		return strconv.Itoa(v.n) + "%"
	}
	return strconv.Itoa(v.n)
}

// MarshalJSON writes 3 or "25%".
func (v Value) MarshalJSON() ([]byte, error) {
	if v.percent {
		return json.Marshal(v.String())
	}
	return json.Marshal(v.n)
}

// UnmarshalJSON reads 3, "3" or "25%".
func (v *Value) UnmarshalJSON(data []byte) error {
	text := string(data)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	parsed, err := Parse(text)
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// IsZero reports whether the value is the count 0, for omitzero.
func (v Value) IsZero() bool { return v == Value{} }
