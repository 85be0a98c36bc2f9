// Package recording keeps what decisions were made from, so that each can be
// explained and made again later.
//
// A [Recorder] takes what the planner decided from, and what came of it. A
// [Reader] finds the record in force at a time, or goes through a range:
//
//	plan, _ := policy.Decide(r.At, r.Group, r.Snapshot, r.Ledger)
//
// gives the plan of the record r again. [Record.Checksum] tells whether it is
// the same, to the byte: another version of the program may decide otherwise.
//
// # What is kept
//
// Every decision that changes what anybody is told (a target, whether a workload
// is active, the reason, a pod let through the gate) is kept; of the others, one
// in each [Interval]. One that differs from the last of its group by nothing but
// times (readings were renewed, and say the same) is passed over until
// [Heartbeat] has gone by: so a gap longer than that means that nothing was
// recorded, and not that nothing happened. A new reading of a queue whose workload has an
// objective for message age is more than a time. A recording is bounded in bytes; the oldest goes
// first.
//
// # Format
//
// A recording is a sequence of segments, numbered upward. One is being written,
// as it comes, so that a crash loses nothing that was recorded; the others are
// compressed with Zstandard as a whole. In a directory these are files, readable
// by their owner only:
//
//	00000007-20261122T163759.123456789Z.rec.zst   finished, by number and the time of its first record (UTC)
//	00000008-20261122T171202.000000000Z.rec       being written, or left by a crash
//
// A segment can be read without any other. It is a sequence of frames:
//
//	length of payload   uvarint, at most 16 MiB
//	checksum            4 bytes, little endian, CRC-32C of the payload
//	payload             one byte of kind, and the rest
//
// Kind 'H', the first frame, is a JSON object: format (3), program (the version
// that wrote it), and schema and types, which describe the fields of what
// follows (see package delta). Kind 'R' is a record:
//
//	group      uvarint: 0 defines the segment's next group, whose name follows
//	           as uvarint length and bytes; n is the n-th that was defined
//	time       zigzag varint of nanoseconds since the segment's last record, or
//	           since 1970 for the first
//	dropped    uvarint: decisions since the last record that could not be kept
//	checksum   4 bytes, little endian: see [Checksum]
//	steps      of the flows through queues, see below
//	policy, databases, queues, fleets, points, remembered databases, remembered
//	workloads, flows, outcomes: what changed of each since the group's last record
//	in this segment, or all of it in its first (a key frame)
//
// What is remembered of the flow through a queue would be most of a recording: it
// changes with every reading. It follows from the reading ([policy.Flow.Next]), so that
// a record names the flows that went on by one (steps), and of flows the differences
// from what follows are written, which are seldom any. A program with other rules
// (header: flows), or whose processor rounds otherwise, reads everything but the flows
// between key frames.
//
// Segments of formats 1 and 2, which are read too, have flows among the remembered
// workloads, and points, if any (2), last. Other kinds are passed over. A frame that is
// cut short or whose checksum is wrong ends its segment: what stood before it is
// whole, and the next segment starts afresh. A step of the clock starts a new segment too, so that times in
// one segment only rise.
package recording
