package recording

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
	"github.com/keda-headroom/headroom/scaler/recording/delta"
)

// encoder makes the frames of one segment.
type encoder struct {
	codecs codecs
	w      delta.Writer
	groups map[string]*written
	last   time.Time
	frame  []byte
	head   []byte
	// keyed is how many bytes of the segment are key frames.
	keyed int64
}

// written is what was last written of a group in this segment.
type written struct {
	ref    uint64
	record Record
}

// newEncoder returns an encoder and the segment's first frame.
func newEncoder(program string) (*encoder, []byte, error) {
	h, err := newHeader(program)
	if err != nil {
		return nil, nil, err
	}
	c, err := h.codecs()
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, nil, err
	}
	return &encoder{codecs: c, groups: map[string]*written{}}, appendFrame(nil, kindHeader, text), nil
}

// fits reports whether a record made at this time can stand in the segment:
// times in it only rise, and the clock was not set since the last.
func (e *encoder) fits(at time.Time) bool {
	if e.last.IsZero() {
		return true
	}
	wall := at.Round(0).Sub(e.last.Round(0))
	return wall >= 0 && delta.Distance(e.last, at) == wall
}

// tells reports whether a plan tells anybody something that the group's last
// record does not, or is the first for this long.
func (e *encoder) tells(plan policy.Plan, at time.Time, interval time.Duration) bool {
	before := e.groups[plan.Group]
	if before == nil || at.Sub(before.record.At) >= interval || len(plan.Workloads) != len(before.record.Outcomes) {
		return true
	}
	for _, w := range plan.Workloads {
		last, ok := before.record.Outcomes[w.ID]
		if now := told(w); !ok || last.Told != now || now.Admitted > 0 {
			return true
		}
	}
	return false
}

// encode returns the record's frame, good until the next call; nil where the
// record says nothing that the group's last one does not, and that one is
// younger than heartbeat.
func (e *encoder) encode(r Record, heartbeat time.Duration) ([]byte, error) {
	name := r.Group.Name()
	before := e.groups[name]
	var old Record
	e.head = e.head[:0]
	if before != nil {
		old = before.record
		e.head = binary.AppendUvarint(e.head, before.ref)
	} else {
		e.head = binary.AppendUvarint(e.head, 0)
		e.head = binary.AppendUvarint(e.head, uint64(len(name)))
		e.head = append(e.head, name...)
	}
	since := r.At.UnixNano()
	if !e.last.IsZero() {
		since = int64(r.At.Round(0).Sub(e.last.Round(0)))
	}
	e.head = binary.AppendVarint(e.head, since)
	e.head = binary.AppendUvarint(e.head, r.Dropped)
	e.head = binary.LittleEndian.AppendUint32(e.head, r.Checksum)
	e.head = appendTerm(e.head, old.Snapshot.Epoch, r.Snapshot.Epoch)

	w := &e.w
	w.Begin(r.At)
	went := e.codecs.steps(old, r)
	writeSteps(w, went)
	e.codecs.group.Write(w, &old.Group, &r.Group)
	writeMap(w, e.codecs.databases, opened, old.Snapshot.Databases, r.Snapshot.Databases)
	writeMap(w, e.codecs.queues, opened, old.Snapshot.Queues, r.Snapshot.Queues)
	writeMap(w, e.codecs.fleets, opened, old.Snapshot.Fleets, r.Snapshot.Fleets)
	writePoints(w, e.codecs.points, old.Snapshot.Points, r.Snapshot.Points)
	writeMap(w, e.codecs.rDatabase, same, old.Ledger.Databases, r.Ledger.Databases)
	writeMap(w, e.codecs.rWorkload, withoutFlow, old.Ledger.Workloads, r.Ledger.Workloads)
	writeMap(w, e.codecs.flows, flowOf, follow(went, old, r), r.Ledger.Workloads)
	writeMap(w, e.codecs.outcomes, same, old.Outcomes, r.Outcomes)
	body, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	if 1+len(e.head)+len(body) > maxPayload {
		return nil, fmt.Errorf("expected a record of at most %d bytes, found %d for group %s", maxPayload, 1+len(e.head)+len(body), name)
	}
	if before != nil && !w.Material && old.Checksum == r.Checksum && r.Dropped == 0 && r.At.Sub(old.At) < heartbeat {
		return nil, nil
	}
	e.frame = appendFrame(e.frame[:0], kindRecord, e.head, body)
	if before == nil {
		before = &written{ref: uint64(len(e.groups)) + 1}
		e.groups[name] = before
		e.keyed += int64(len(e.frame))
	}
	before.record, e.last = r, r.At
	return e.frame, nil
}

// decoder takes one segment apart.
type decoder struct {
	frames  frames
	codecs  codecs
	program string
	r       delta.Reader
	groups  []*decoded
	last    time.Time
	// until is where to end, before the first record made later; the zero time
	// goes on to the end.
	until time.Time
}

// decoded is the last record of a group, which the next one changes.
type decoded struct {
	Record
	reader *delta.Reader

	databases part[metrics.Reading[metrics.Database], reading[metrics.Database]]
	queues    part[metrics.Reading[metrics.Queue], reading[metrics.Queue]]
	fleets    part[metrics.Reading[metrics.Fleet], reading[metrics.Fleet]]
	rDatabase part[policy.DatabaseMemory, policy.DatabaseMemory]
	rWorkload part[policy.WorkloadMemory, policy.WorkloadMemory]
	outcomes  part[Outcome, Outcome]
	points    part[metrics.Reading[metrics.Points], reading[published]]
	flows     flows
}

func (d *decoder) newDecoded() *decoded {
	out := &decoded{Record: Record{Program: d.program}, reader: &d.r}
	out.databases = part[metrics.Reading[metrics.Database], reading[metrics.Database]]{codec: d.codecs.databases, close: closed[metrics.Database]}
	out.queues = part[metrics.Reading[metrics.Queue], reading[metrics.Queue]]{codec: d.codecs.queues, close: closed[metrics.Queue]}
	out.fleets = part[metrics.Reading[metrics.Fleet], reading[metrics.Fleet]]{codec: d.codecs.fleets, close: closed[metrics.Fleet]}
	out.rDatabase = part[policy.DatabaseMemory, policy.DatabaseMemory]{codec: d.codecs.rDatabase, close: same[policy.DatabaseMemory]}
	out.rWorkload = part[policy.WorkloadMemory, policy.WorkloadMemory]{codec: d.codecs.rWorkload, close: same[policy.WorkloadMemory]}
	out.outcomes = part[Outcome, Outcome]{codec: d.codecs.outcomes, close: same[Outcome]}
	out.points = part[metrics.Reading[metrics.Points], reading[published]]{codec: d.codecs.points, close: closedPoints, own: true}
	out.flows = flows{part: part[policy.Flow, policy.Flow]{codec: d.codecs.flows, close: same[policy.Flow]}, foreign: d.codecs.foreign}
	return out
}

// read takes in the changes of one more record.
func (d *decoded) read(r *delta.Reader, c *codecs) {
	if c.stepped {
		d.flows.step(r, d.readings)
	}
	c.group.Read(r, &d.Group)
	d.databases.read(r, &d.Snapshot.Databases)
	d.queues.read(r, &d.Snapshot.Queues)
	d.fleets.read(r, &d.Snapshot.Fleets)
	if c.stepped {
		d.points.read(r, &d.Snapshot.Points)
	}
	d.rDatabase.read(r, &d.Ledger.Databases)
	d.rWorkload.read(r, &d.Ledger.Workloads)
	if c.stepped {
		d.flows.catchUp(r, d.readings)
		d.flows.read(r, &d.flows.all)
	}
	d.outcomes.read(r, &d.Outcomes)
	if c.extended && !c.stepped {
		d.points.read(r, &d.Snapshot.Points)
	}
}

// readings is the record with what flows follow from up to date.
func (d *decoded) readings() *Record {
	d.queues.update(d.Snapshot.Queues)
	d.points.update(d.Snapshot.Points)
	return &d.Record
}

// record returns the record, whose maps the next one changes.
func (d *decoded) record() Record {
	d.databases.update(d.Snapshot.Databases)
	d.queues.update(d.Snapshot.Queues)
	d.fleets.update(d.Snapshot.Fleets)
	d.rDatabase.update(d.Ledger.Databases)
	d.outcomes.update(d.Outcomes)
	d.points.update(d.Snapshot.Points)
	d.memories()
	return d.Record
}

// memories brings those of workloads up to date, each with its flow.
func (d *decoded) memories() {
	changed := d.flows.lost
	for _, s := range d.rWorkload.stale {
		changed = append(changed, s.id)
	}
	for _, s := range d.flows.stale {
		changed = append(changed, s.id)
	}
	d.rWorkload.update(d.Ledger.Workloads)
	d.flows.update(d.flows.all)
	if d.flows.all != nil {
		for _, id := range changed {
			if m, there := d.Ledger.Workloads[id]; there {
				m.Flow = d.flows.all[id]
				d.Ledger.Workloads[id] = m
			}
		}
	}
	d.flows.lost = d.flows.lost[:0]
}

// sample returns the record as it stays when the next one is read. Its ledger has what
// no sample before it had.
func (d *decoded) sample() Record {
	out := d.record()
	ledger := out.Ledger
	out.Ledger = policy.Ledger{}
	out = out.Clone()
	out.Ledger, d.Ledger = ledger, policy.Ledger{}
	d.rDatabase.give()
	d.rWorkload.give()
	d.flows.give()
	d.flows.all = nil
	d.reader.Reuse()
	return out
}

func newDecoder(in io.Reader) (*decoder, error) {
	d := &decoder{frames: frames{in: bufio.NewReaderSize(in, 64<<10)}}
	kind, payload, err := d.frames.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errCut
	case err != nil:
		return nil, err
	case kind != kindHeader:
		return nil, fmt.Errorf("expected a recording, found a first frame of kind %q", kind)
	}
	h, err := parseHeader(payload)
	if err != nil {
		return nil, err
	}
	d.program = h.Program
	d.codecs, err = h.codecs()
	return d, err
}

// next returns the next record, which stays the decoder's: the next record of
// the group changes it. It returns io.EOF at the end.
func (d *decoder) next() (*decoded, error) {
	for {
		offset := d.frames.offset
		kind, payload, err := d.frames.next()
		if err != nil {
			return nil, err
		}
		if kind != kindRecord {
			continue
		}
		r, err := d.decode(payload)
		if errors.Is(err, io.EOF) {
			return nil, err
		}
		if err != nil {
			d.frames.offset = offset
			return nil, err
		}
		return r, nil
	}
}

func (d *decoder) decode(payload []byte) (*decoded, error) {
	h := head{in: payload}
	ref := h.uvarint()
	var record *decoded
	switch {
	case ref > uint64(len(d.groups)):
		return nil, fmt.Errorf("expected one of %d groups, found a reference to group %d", len(d.groups), ref)
	case ref > 0:
		record = d.groups[ref-1]
	default:
		h.skip(h.uvarint()) // the name follows from the policy
		record = d.newDecoded()
	}
	since := h.varint()
	dropped := h.uvarint()
	checksum := h.uint32()
	term := record.Snapshot.Epoch
	if d.codecs.extended {
		term = h.term(term)
	}
	if h.bad {
		return nil, errors.New("expected the head of a record, found fewer bytes")
	}
	at := time.Unix(0, since).UTC()
	if !d.last.IsZero() {
		at = d.last.Add(time.Duration(since))
	}
	if !d.until.IsZero() && at.After(d.until) {
		return nil, io.EOF
	}
	r := &d.r
	r.Begin(h.in, at)
	record.read(r, &d.codecs)
	err := r.End()
	if err == nil {
		err = whole(record.Group)
	}
	if err != nil {
		*record = decoded{} // half of a record is none
		return nil, err
	}
	record.At, record.Dropped, record.Checksum, d.last = at, dropped, checksum, at
	record.Snapshot.Epoch = term
	if ref == 0 {
		d.groups = append(d.groups, record)
	}
	return record, nil
}

// whole reports what a group lacks that Decide and Name rely on.
func whole(g policy.Group) error {
	if len(g.Databases) == 0 && len(g.Workloads) == 0 {
		return errors.New("expected a group of databases or workloads, found an empty one")
	}
	return nil
}

// head reads what stands before the changes in a record.
type head struct {
	in  []byte
	bad bool
}

// appendTerm writes a term where it is another than before.
func appendTerm(out []byte, before, term string) []byte {
	if term == before {
		return binary.AppendUvarint(out, 0)
	}
	return append(binary.AppendUvarint(out, uint64(len(term))+1), term...)
}

// term is what appendTerm wrote.
func (h *head) term(before string) string {
	n := h.uvarint()
	if n == 0 || h.bad {
		return before
	}
	if n-1 > uint64(len(h.in)) {
		h.bad = true
		return before
	}
	term := string(h.in[:n-1])
	h.skip(n - 1)
	return term
}

func (h *head) uvarint() uint64 {
	v, n := binary.Uvarint(h.in)
	h.skip(uint64(max(n, 0)))
	h.bad = h.bad || n <= 0
	return v
}

func (h *head) varint() int64 {
	v, n := binary.Varint(h.in)
	h.skip(uint64(max(n, 0)))
	h.bad = h.bad || n <= 0
	return v
}

func (h *head) uint32() uint32 {
	if len(h.in) < 4 {
		h.bad = true
		return 0
	}
	v := binary.LittleEndian.Uint32(h.in)
	h.in = h.in[4:]
	return v
}

func (h *head) skip(n uint64) {
	if n > uint64(len(h.in)) {
		h.bad, n = true, 0
	}
	h.in = h.in[n:]
}
