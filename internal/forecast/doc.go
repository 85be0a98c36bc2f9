// Package forecast plays a trace of arrivals through a queue, its workers, their
// databases and an autoscaler, in simulated time: what would become of these
// messages under that policy?
//
// [Run] is deterministic: the same world, contender and seed give the same
// [Outcome], to the byte. Every contender meets the same messages at the same
// times, and each message takes as long whoever works on it. Headroom's decisions
// are made by [policy.Decide] itself, the HPA's and KEDA's by packages hpa and
// kedasim.
//
// # The model
//
//   - The queue hands out messages in order of their age. A message that a worker
//     gives back keeps its age and goes first. Counts are exact when they are read.
//   - A pod works from start-up after its creation, once it has a connection; it
//     works on as many messages at once as it has slots and connections. A pod that
//     has to go takes nothing new, and ends when its messages are done, or when its
//     grace is over: then they go back.
//   - A database has so many connections. Whoever wants one more is refused, and
//     tries again, workers after half a second to four, others after half a second.
//   - The HPA syncs every 15 s, KEDA polls every 30 s; what they ask for is created
//     at once.
//   - CloudWatch publishes a minute some time after it ended.
//
// Left out are visibility timeouts, poison messages, message groups, rollouts,
// nodes that are full, and the lag of SQS's own counts.
package forecast
