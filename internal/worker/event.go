package worker

import "time"

// Event is what a client of the database tells of itself. A worker's process
// writes it as one line of JSON on its standard output.
type Event struct {
	Kind Kind      `json:"kind"`
	At   time.Time `json:"at"`
	// Count is how many connections were refused, for Refused alone.
	Count int `json:"count,omitempty"`
	// Text says what went wrong, for Failed alone.
	Text string `json:"text,omitempty"`
}

// Kind is what an Event tells.
type Kind string

// The kinds of events.
const (
	Ready   Kind = "ready"   // a worker begins to receive
	Done    Kind = "done"    // a message was handled and deleted
	Refused Kind = "refused" // Count connections were, because something was full
	Failed  Kind = "failed"  // anything else went wrong, as Text says
)

// Failure is the event of an error: Refused where connections were, else
// Failed.
func Failure(err error) Event {
	if n := Refusals(err); n > 0 {
		return Event{Kind: Refused, At: time.Now(), Count: n}
	}
	return Event{Kind: Failed, At: time.Now(), Text: err.Error()}
}
