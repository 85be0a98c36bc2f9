package fakeaws

import (
	"container/list"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"
)

// messageState is where a message stands in its queue.
type messageState int

const (
	visible  messageState = iota // can be received
	delayed                      // waits for its first visibility, until due
	inFlight                     // received and hidden, until due
	gone                         // deleted, moved or expired
)

// message is one message in one queue. A redrive makes a new one.
type message struct {
	content
	id       string
	sequence uint64    // position in its queue, from 1
	sent     time.Time // when a producer sent it
	entered  time.Time // when this queue took it: later than sent in a dead-letter queue
	source   string    // ARN of the queue it was moved from, "" if none

	state          messageState
	due            time.Time // end of delay or of invisibility
	receives       int       // from this queue
	receivedBefore int       // from the queues it was moved from
	firstReceived  time.Time // from any queue
	received       time.Time // last, from this queue

	heapIndex int           // in queue.timed
	kept      *list.Element // in queue.kept
	line      *list.Element // in queue.line, standard queues only
}

// content is what a producer gives.
type content struct {
	body             string
	bodyMD5          string
	attributes       map[string]messageAttribute
	attributesMD5    string
	group            string
	deduplicationID  string
	deduplicationKey string // what deduplication compares: the ID, with the group if that is the scope
}

// receipt identifies one delivery of one message of one queue.
type receipt struct {
	queue    uint64
	sequence uint64
	receive  int
}

// handle is the receipt in the opaque form that consumers hold.
func (r receipt) handle() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "receipt/%d/%d/%d", r.queue, r.sequence, r.receive))
}

// parseReceipt is the inverse of handle; false for anything that handle never made.
func parseReceipt(handle string) (receipt, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil {
		return receipt{}, false
	}
	var r receipt
	if _, err := fmt.Sscanf(string(raw), "receipt/%d/%d/%d", &r.queue, &r.sequence, &r.receive); err != nil {
		return receipt{}, false
	}
	return r, r.handle() == handle
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// dueHeap holds the messages whose state changes with time, soonest first.
type dueHeap []*message

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *dueHeap) Push(x any) {
	m := x.(*message)
	m.heapIndex = len(*h)
	*h = append(*h, m)
}

func (h *dueHeap) Pop() any {
	old := *h
	last := len(old) - 1
	m := old[last]
	old[last] = nil
	*h = old[:last]
	return m
}
