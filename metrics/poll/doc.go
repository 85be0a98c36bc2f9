// Package poll reads every distinct source again and again, once however many
// workloads look at it.
//
// A [Set] holds the pollers of one kind of source. Its users acquire a source by
// a key that says what is read (the URL of a queue, the identity of a database)
// and get a [Handle] with the latest reading. The first to acquire a key starts
// its poller, the last to release it stops the poller and closes the source.
//
//	set := poll.NewSet[string, metrics.Queue](poll.Options[string]{Source: "sqs", Changed: signal})
//	handle, err := set.Acquire(url, open, poll.Settings{Interval: 5 * time.Second})
//	…
//	queue, ok := handle.Reading().At(now, maxAge)
//
// Who exchanges one set of handles for another (a policy was edited) acquires the
// new ones first and releases the old ones after: what is in both goes on being
// polled, with its last reading.
//
// Reads of one source never overlap, so that a reading is never replaced by one
// that began earlier. A panic in a source is not caught: a fault that nobody
// foresaw ends the process rather than leaving a reading that silently ages.
package poll
