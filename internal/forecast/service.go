package forecast

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is a family of distributions of the time that one message takes.
type Kind string

// The families.
const (
	Fixed       Kind = "fixed"       // every message takes the mean
	Exponential Kind = "exponential" // the standard deviation is the mean
	Lognormal   Kind = "lognormal"   // Shape is the standard deviation of the logarithm
	Pareto      Kind = "pareto"      // Shape is the exponent of the tail, more than 1
)

// Heavy is what "heavy" stands for: of 100 messages one takes 11 times the mean or
// longer, of 1000 one 33 times.
const Heavy = "lognormal:1.5"

// Service is how long a worker takes for one message. Mean is more than 0.
type Service struct {
	Kind  Kind          `json:"kind"`
	Mean  time.Duration `json:"mean"`
	Shape float64       `json:"shape,omitempty"`
}

// ParseService reads fixed, exponential, heavy, lognormal:SIGMA or pareto:ALPHA.
func ParseService(text string, mean time.Duration) (Service, error) {
	wrong := func() (Service, error) {
		return Service{}, fmt.Errorf("expected fixed, exponential, heavy (%s), lognormal:SIGMA (0 to 4) or pareto:ALPHA (more than 1), found %q", Heavy, text)
	}
	if mean <= 0 {
		return Service{}, fmt.Errorf("expected a mean time for a message of more than 0, found %s", mean)
	}
	if text == "heavy" {
		text = Heavy
	}
	kind, shape, shaped := strings.Cut(text, ":")
	s := Service{Kind: Kind(kind), Mean: mean}
	switch s.Kind {
	case Fixed, Exponential:
		if shaped {
			return wrong()
		}
	case Lognormal, Pareto:
		var err error
		if s.Shape, err = strconv.ParseFloat(shape, 64); err != nil || math.IsNaN(s.Shape) {
			return wrong()
		}
		if s.Kind == Lognormal && (s.Shape < 0 || s.Shape > 4) || s.Kind == Pareto && (s.Shape <= 1 || s.Shape > 1000) {
			return wrong()
		}
	default:
		return wrong()
	}
	return s, nil
}

// String is what ParseService reads.
func (s Service) String() string {
	if s.Kind == Fixed || s.Kind == Exponential {
		return string(s.Kind)
	}
	return fmt.Sprintf("%s:%g", s.Kind, s.Shape)
}

// mostService keeps a draw from a tail without a mean to what can be simulated.
const mostService = 365 * 24 * time.Hour

// At is how long the message with this number takes: always the same.
func (s Service) At(seed, message uint64) time.Duration {
	if s.Kind == Fixed {
		return s.Mean
	}
	u := uniform(seed, message)
	mean, x := s.Mean.Seconds(), 0.0
	switch s.Kind {
	case Lognormal:
		z := math.Sqrt2 * math.Erfinv(2*u-1)
		x = mean * math.Exp(s.Shape*z-s.Shape*s.Shape/2)
	case Pareto:
		x = mean * (s.Shape - 1) / s.Shape * math.Pow(u, -1/s.Shape)
	default:
		x = -mean * math.Log(u)
	}
	return time.Duration(max(1, min(x*1e9, float64(mostService))))
}

// uniform is a number strictly between 0 and 1 that looks random, by splitmix64
// (Steele, Lea and Flood, 2014).
func uniform(seed, n uint64) float64 {
	z := mix(seed+0x9e3779b97f4a7c15) + (n+1)*0x9e3779b97f4a7c15
	return (float64(mix(z)>>11) + 0.5) / (1 << 53)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
