// Package clairvoyant says what nobody can beat: how many messages of a trace any
// choice of replicas could finish in time, and how little pod time those could cost,
// if every arrival and every message's length were known beforehand.
//
// # How many could be kept
//
// [Problem.Reach] is exact. Messages are taken in the order of their age, so the
// only choice is how many slots there are at each time. More slots never make any
// message later: by induction over messages, when message k starts with N(t) slots,
// then with N'(t) ≥ N(t) every earlier message has started no later and ended no
// later, so that no more slots are busy and k may start too. (A message that goes
// back to the queue because its pod was killed starts again before any younger one,
// which leaves the argument as it is.) So one run with as many pods as there may
// ever be, from the first moment on, keeps every message that could be kept at all.
//
// # How little they could cost
//
// [Problem.Spend] is a lower bound, of three things that add up or exclude each
// other:
//
//   - The replicas that run anyhow (MinReplicas) cost the length of the trace, and
//     work off what they can. What they can't finish by its deadline somebody else
//     must: the least such work, if messages could be cut into pieces and shared, is
//     what is left at each deadline of the earliest-deadline-first order, as that
//     order leaves the least.
//   - All work has to be done, in time or not, and a pod does no more than its slots
//     at once.
//   - If fewer than p pods at any time can't keep those messages, p have to be there
//     at some time, and those that were not there at the beginning had to start up.
//
// The bound is exact, equal to an exhaustive search, where every message can be kept and takes one
// unit of time, a pod has one slot and starts at once. Otherwise it leaves out that
// pods are whole, that messages are, and that pods are started more than once: the
// least possible cost is between it and what the cheapest policy was seen to spend.
package clairvoyant
