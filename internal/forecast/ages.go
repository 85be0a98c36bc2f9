package forecast

import (
	"math/bits"
	"time"
)

// Ages are how old messages were when they were done, in buckets whose bounds are
// less than 0.8 % apart, in milliseconds.
type Ages struct {
	counts []uint64
	n      uint64
	most   time.Duration
	sum    float64
}

func bucket(ms uint64) int {
	if ms < 256 {
		return int(ms)
	}
	exp := bits.Len64(ms) - 8
	return 256 + (exp-1)*128 + int(ms>>exp) - 128
}

// upper is the largest age of a bucket, in milliseconds.
func upper(bucket int) uint64 {
	if bucket < 256 {
		return uint64(bucket)
	}
	exp := (bucket-256)/128 + 1
	mantissa := uint64((bucket-256)%128 + 128)
	return (mantissa+1)<<exp - 1
}

func (a *Ages) add(age time.Duration) {
	b := bucket(uint64(age / time.Millisecond))
	for b >= len(a.counts) {
		a.counts = append(a.counts, make([]uint64, b+1-len(a.counts)+128)...)
	}
	a.counts[b]++
	a.n++
	a.most = max(a.most, age)
	a.sum += age.Seconds()
}

// Percentile is the age that at least p of a hundred messages did not exceed; 0
// where there was none.
func (a *Ages) Percentile(p float64) time.Duration {
	rank := uint64(p / 100 * float64(a.n))
	if float64(rank) < p/100*float64(a.n) {
		rank++
	}
	seen := uint64(0)
	for b, n := range a.counts {
		if seen += n; seen >= max(1, rank) {
			return min(a.most, time.Duration(upper(b))*time.Millisecond+time.Millisecond-1)
		}
	}
	return 0
}
