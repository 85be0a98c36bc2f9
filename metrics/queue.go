package metrics

// Queue is the depth of one queue at one instant, in messages. The counts of
// Amazon SQS are approximate and up to a minute behind.
type Queue struct {
	// Visible messages wait to be received (ApproximateNumberOfMessages).
	Visible int64 `json:"visible"`
	// InFlight messages were received and are neither deleted nor returned
	// (ApproximateNumberOfMessagesNotVisible).
	InFlight int64 `json:"inFlight"`
	// Delayed messages become visible later (ApproximateNumberOfMessagesDelayed).
	Delayed int64 `json:"delayed"`
	// FIFO queues bound parallelism by their message groups.
	FIFO bool `json:"fifo,omitempty"`
}
