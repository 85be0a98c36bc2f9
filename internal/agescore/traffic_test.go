package agescore

import (
	"bufio"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// traffic is how many messages come in a second, by seconds since the beginning.
type traffic struct {
	name    string
	seconds float64
	rate    func(t float64) float64
	// tuned is until when parameters were chosen to suit it: what comes after that is
	// the score.
	tuned float64
}

// trace reads one of the real ones, from file, times scale.
func trace(t testing.TB, file string, scale float64) traffic {
	t.Helper()
	data, err := os.ReadFile("../arrivals/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var rates []float64
	lines := bufio.NewScanner(strings.NewReader(string(data)))
	for lines.Scan() {
		_, text, _ := strings.Cut(lines.Text(), ",")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			rates = append(rates, value/300*scale)
		}
	}
	if len(rates) < 4000 {
		t.Fatalf("%s: %d values", file, len(rates))
	}
	seconds := float64(len(rates)) * 300
	return traffic{name: strings.TrimSuffix(file, ".csv"), seconds: seconds, tuned: seconds / 2, rate: func(t float64) float64 {
		return rates[min(int(t/300), len(rates)-1)]
	}}
}

// part is the traffic from one time to another, as one of its own.
func (tr traffic) part(from, to float64) traffic {
	rate := tr.rate
	tr.rate = func(t float64) float64 { return rate(t + from) }
	tr.seconds, tr.tuned = to-from, 0
	return tr
}

// everything says whether there is time for whole traces.
func everything() bool { return os.Getenv("HEADROOM_TRACES") == "all" }

// generated are the shapes that real traffic has seldom: hours of them, or as long as
// each takes to show.
func generated() []traffic {
	hours := func(n float64) float64 {
		if !everything() {
			n /= 2.4
		}
		return math.Floor(n*60) * 60
	}
	return []traffic{
		{name: "steps", seconds: hours(4.8), tuned: hours(2.4), rate: func(t float64) float64 {
			return []float64{10, 50, 20, 100, 5, 30}[int(t/1200)%6]
		}},
		{name: "ramps", seconds: hours(4.8), tuned: hours(2.4), rate: func(t float64) float64 {
			return 5 + 70*math.Abs(math.Mod(t, 3600)/1800-1)
		}},
		{name: "bursts", seconds: hours(4.8), tuned: hours(2.4), rate: func(t float64) float64 {
			if math.Mod(t, 900) < 20 {
				return 300
			}
			return 5
		}},
		{name: "silence", seconds: hours(4.8), tuned: hours(2.4), rate: func(t float64) float64 {
			if math.Mod(t, 2400) < 600 {
				return 40
			}
			return 0
		}},
	}
}

// come draws the arrivals between two times, by a Poisson process.
func (tr traffic) come(random *rand.Rand, from, to float64) []float64 {
	var out []float64
	for t := from; ; {
		rate := max(tr.rate(t), 1e-9)
		t += random.ExpFloat64() / rate
		if t >= to {
			return out
		}
		out = append(out, t)
	}
}

// fixed, exponential and heavy are how long work on a message takes, in seconds on
// average service.
func fixed(*rand.Rand) float64         { return service }
func exponential(r *rand.Rand) float64 { return service * r.ExpFloat64() }
func heavy(r *rand.Rand) float64       { return math.Exp(r.NormFloat64()*1.2 + math.Log(service) - 0.72) }
