package poll

import "github.com/keda-headroom/headroom/metrics"

// Handle is one user's hold on a source that is polled. All its methods may be
// called at any time from anywhere.
type Handle[T any] struct {
	poller  *poller[T]
	release func()
}

// Reading returns the latest reading. It takes no lock and never waits. Before
// the first read has ended it is unknown; after [Handle.Release] it stays as it
// was, or as whoever still polls the source makes it.
func (h *Handle[T]) Reading() metrics.Reading[T] { return *h.poller.reading.Load() }

// Poke asks for a reading that begins after this call, now instead of when it
// would be due. It doesn't wait for it. Where a read is in progress another
// follows; several pokes before that are one.
func (h *Handle[T]) Poke() { notify(h.poller.poked) }

// Reconsider has a [Paced] source asked again when its next read is due.
func (h *Handle[T]) Reconsider() { notify(h.poller.replan) }

// Release gives the source up. The last user's release stops the polling,
// cancels a read in progress and closes the source, and doesn't wait for that.
// Releasing again does nothing.
func (h *Handle[T]) Release() { h.release() }
