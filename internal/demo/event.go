package demo

import "time"

// event is what a client tells of itself. A worker writes it as one line of JSON
// on its standard output.
type event struct {
	Kind  eventKind `json:"kind"`
	At    time.Time `json:"at"`
	Count int       `json:"count,omitempty"`
	Text  string    `json:"text,omitempty"`
}

type eventKind string

const (
	isReady   eventKind = "ready"   // a worker begins to receive
	isDone    eventKind = "done"    // a message was handled and deleted
	isRefused eventKind = "refused" // Count connections were, because something was full
	isFailed  eventKind = "failed"  // anything else went wrong, as Text says
)
