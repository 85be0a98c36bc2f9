package hpa

import "math"

// Metric is one answer to the HPA's query: a value, or an error.
type Metric struct {
	// Milli is the sum of all returned items in thousandths. Kubernetes reads a
	// quantity in milli, rounded up (Quantity.MilliValue).
	Milli int64
	// Err is why there is no value; nil where there is one.
	Err error
}

// Value is a metric whose items add up to v. As a Quantity does, it keeps nine
// decimals and then rounds up to the next thousandth: 8.999 is 8999 milli, and
// 8.9991 is 9000. NaN and what does not fit is the largest value, as it is to
// the HPA.
func Value(v float64) Metric {
	const most = float64(math.MaxInt64) / 1e9
	if math.IsNaN(v) || v >= most {
		return Metric{Milli: math.MaxInt64}
	}
	if v <= -most {
		return Metric{Milli: math.MinInt64}
	}
	nano := int64(math.Round(v * 1e9))
	milli := nano / 1_000_000
	if nano%1_000_000 > 0 {
		milli++
	}
	return Metric{Milli: milli}
}

// Failed is a query without an answer.
func Failed(err error) Metric { return Metric{Err: err} }
