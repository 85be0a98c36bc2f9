package policy

import "time"

// Ask is how many replicas the objective asked for at a time.
type Ask struct {
	At       time.Time `json:"at"`
	Replicas int       `json:"replicas"`
}

// asksKept bounds how many asks are remembered.
const asksKept = 6

// lastAsk is what the objective asked for last.
func (f *Flow) lastAsk() int {
	if n := len(f.Asks); n > 0 {
		return f.Asks[n-1].Replicas
	}
	return 0
}

// ask remembers what is asked for now. Of what was asked before, what is not asked
// for any more is forgotten, and what should have come by now but for the last.
func (f *Flow) ask(now time.Time, replicas int, lead float64) []Ask {
	var asks []Ask
	for _, a := range f.Asks {
		if a.Replicas <= replicas && now.Sub(a.At).Seconds() <= 2*lead {
			asks = append(asks, a)
		}
	}
	if n := len(asks); n == 0 || asks[n-1].Replicas < replicas {
		asks = append(asks, Ask{now, replicas})
	}
	return asks[max(0, len(asks)-asksKept):]
}
