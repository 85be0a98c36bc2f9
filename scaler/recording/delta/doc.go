// Package delta writes how a plain Go value differs from the one before it, and
// reads it back: small where little changed, exact always.
//
// A stream starts with a [Schema], the names and types of all fields at the time
// of writing. Reading goes by that schema: a field that the reader's type no
// longer has is passed over, one that it has gained keeps its zero value. So a
// recording outlives the program that made it.
//
// # Encoding
//
// Every value is written as what leads from the old value to the new one, and
// can be passed over without knowing the old one.
//
//	bool      one byte, 0 or 1
//	int       zigzag varint of new − old
//	uint      zigzag varint of new − old, modulo 2^64
//	float     uvarint of the bits of old XOR new, bytes reversed
//	string    uvarint length, bytes
//	json      like string: the JSON of a type that has MarshalJSON
//	time      see below
//	*X        0 for nil; 1 and X against what old pointed to, or zero
//	[]X       0 for nil; else length + 1, the number of leading elements kept,
//	          the number of trailing elements kept, and each element between
//	          against the old one at the same distance from the kept start, or zero
//	map[K]X   0 for nil; else the number of changes + 1, and for each a key and
//	          either its removal or X against the old value, or zero
//	struct    uvarint mask of the fields that changed (bit 0 is the first), and
//	          each of those in order
//
// A key is uvarint reference × 2 + removed; reference 0 defines the next key
// (its text follows as a string), n refers to the n-th that was defined in this
// stream.
//
// A time is 0 for the zero time; 1 and the zigzag varint of nanoseconds after
// the record's own time, which also defines the record's next time; 2 and
// seconds and nanoseconds since 1970 for what lies further away than that can
// say; 3 + n refers to the n-th time that was defined in this record (many
// readings begin together). Zones are not kept: a time is read back in UTC.
//
// Where the clock was set between two times, what is kept is how far apart they
// really were, as decisions go by that.
package delta
