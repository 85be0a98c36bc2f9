package metrics

import "time"

// Points are what CloudWatch has published of one queue, minute by minute. Points
// come late, in any order, and some never: what was not published (yet) is nil,
// which is not 0.
type Points struct {
	// Minutes are in order of Start, each minute once. A minute of which nothing
	// was published may be missing.
	Minutes []Minute `json:"minutes,omitempty"`
}

// Minute is what happened to a queue in the minute that begins at Start.
type Minute struct {
	Start time.Time `json:"start"`
	// Sent, Received and Deleted count messages (Sum of NumberOfMessagesSent,
	// …Received, …Deleted). Deleting a message twice counts twice.
	Sent     *float64 `json:"sent,omitempty"`
	Received *float64 `json:"received,omitempty"`
	Deleted  *float64 `json:"deleted,omitempty"`
	// OldestAge is how old the oldest message was, in seconds (Maximum of
	// ApproximateAgeOfOldestMessage). On a standard queue messages that were received
	// three times or more don't count.
	OldestAge *float64 `json:"oldestAge,omitempty"`
	// Groups is how many message groups of a FIFO queue had messages in flight
	// (Maximum of ApproximateNumberOfGroupsWithInflightMessages).
	Groups *float64 `json:"groups,omitempty"`
}
