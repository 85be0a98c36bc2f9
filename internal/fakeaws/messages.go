package fakeaws

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file answers the operations on messages.

const (
	maxBatch      = 10
	maxBatchBytes = 1 << 20
	maxDelay      = 900 // seconds
	maxWait       = 20  // seconds
)

// messageInput is a message as its producer sends it.
type messageInput struct {
	MessageBody            string
	DelaySeconds           *int // nil is the queue's
	MessageAttributes      map[string]messageAttribute
	MessageGroupID         string `json:"MessageGroupId"`
	MessageDeduplicationID string `json:"MessageDeduplicationId"`
}

type sentMessage struct {
	MessageID              string `json:"MessageId"`
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
	SequenceNumber         string `json:",omitempty"`
}

// size is what counts against the queue's MaximumMessageSize.
func (in *messageInput) size() int {
	n := len(in.MessageBody)
	for name, a := range in.MessageAttributes {
		_, value := a.value()
		n += len(name) + len(a.DataType) + len(value)
	}
	return n
}

// validIdentifier is a group or deduplication ID: 1 to 128 characters, letters, digits
// and punctuation of ASCII.
var validIdentifier = regexp.MustCompile(`^[!-~]{1,128}$`)

// accept checks a message against the queue and adds it.
func (q *queue) accept(in *messageInput, now time.Time) (*sentMessage, error) {
	delay := q.delay
	switch {
	case in.MessageBody == "":
		return nil, errMissingParameter("MessageBody")
	case strings.ContainsFunc(in.MessageBody, notAllowedInBody):
		return nil, sqsError("InvalidMessageContents", "InvalidMessageContents",
			"Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.")
	case in.size() > q.maximumSize:
		return nil, errInvalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.maximumSize)
	case in.DelaySeconds != nil && (*in.DelaySeconds < 0 || *in.DelaySeconds > maxDelay):
		return nil, errInvalidParameter("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", *in.DelaySeconds, maxDelay)
	case in.DelaySeconds != nil && *in.DelaySeconds > 0 && q.fifo:
		return nil, errInvalidParameter("Value %d for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.", *in.DelaySeconds)
	case in.DelaySeconds != nil && !q.fifo:
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	for name, a := range in.MessageAttributes {
		if err := a.check(name); err != nil {
			return nil, err
		}
	}
	c := content{
		body: in.MessageBody, bodyMD5: md5Hex([]byte(in.MessageBody)),
		attributes: in.MessageAttributes, attributesMD5: attributesMD5(in.MessageAttributes),
		group: in.MessageGroupID, deduplicationID: in.MessageDeduplicationID,
	}
	if err := q.identify(&c); err != nil {
		return nil, err
	}
	a := q.send(c, delay, now)
	out := &sentMessage{MessageID: a.id, MD5OfMessageBody: c.bodyMD5, MD5OfMessageAttributes: c.attributesMD5}
	if q.fifo {
		out.SequenceNumber = sequenceNumber(a.sequence)
	}
	return out, nil
}

// identify checks and completes what orders and deduplicates a message.
func (q *queue) identify(c *content) error {
	if c.group != "" && !validIdentifier.MatchString(c.group) {
		return errInvalidParameter("Value %s for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.", c.group)
	}
	if !q.fifo {
		if c.deduplicationID != "" {
			return errInvalidParameter("Value %s for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type.", c.deduplicationID)
		}
		return nil
	}
	if c.group == "" {
		return errMissingParameter("MessageGroupId")
	}
	if c.deduplicationID == "" {
		if !q.contentBasedDeduplication {
			return errInvalidParameter("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
		}
		sum := sha256.Sum256([]byte(c.body))
		c.deduplicationID = hex.EncodeToString(sum[:])
	}
	if !validIdentifier.MatchString(c.deduplicationID) {
		return errInvalidParameter("Value %s for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.", c.deduplicationID)
	}
	c.deduplicationKey = c.deduplicationID
	if q.deduplicateByGroup {
		c.deduplicationKey = c.group + " " + c.deduplicationID // neither holds a space
	}
	return nil
}

// notAllowedInBody tells the characters that XML, and so SQS, does not allow.
func notAllowedInBody(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return false
	}
	return r < 0x20 || r == 0xFFFE || r == 0xFFFF
}

// sequenceNumber has 20 digits, as those of AWS.
func sequenceNumber(n uint64) string { return fmt.Sprintf("%020d", n) }

type sendMessageInput struct {
	queueInput
	messageInput
}

func (s *Server) sendMessage(_ call, in *sendMessageInput) (*sentMessage, error) {
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	return q.accept(&in.messageInput, now)
}

// batchEntry is an entry of a batch request, known by its ID.
type batchEntry interface{ entryID() string }

type batchID struct {
	ID string `json:"Id"`
}

func (b batchID) entryID() string { return b.ID }

type failedEntry struct {
	ID          string `json:"Id"`
	Code        string
	Message     string
	SenderFault bool
}

type batchResult[R any] struct {
	Successful []R
	Failed     []failedEntry
}

var validEntryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// runBatch checks a batch as a whole and then does its entries one by one.
func runBatch[E batchEntry, R any](entries []E, do func(E) (R, error)) (*batchResult[R], error) {
	if len(entries) == 0 {
		return nil, sqsError("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest",
			"There should be at least one entry in the request.")
	}
	if len(entries) > maxBatch {
		return nil, sqsError("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			"Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(entries))
	}
	seen := map[string]bool{}
	for _, e := range entries {
		id := e.entryID()
		if !validEntryID.MatchString(id) {
			return nil, sqsError("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId",
				"A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return nil, sqsError("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = true
	}
	out := &batchResult[R]{Successful: []R{}, Failed: []failedEntry{}}
	for _, e := range entries {
		result, err := do(e)
		if err == nil {
			out.Successful = append(out.Successful, result)
			continue
		}
		var a *apiError
		if !errors.As(err, &a) {
			return nil, err
		}
		out.Failed = append(out.Failed, failedEntry{e.entryID(), a.queryCode, a.message, a.senderFault()})
	}
	return out, nil
}

type sendEntry struct {
	batchID
	messageInput
}

type sentEntry struct {
	batchID
	sentMessage
}

type sendMessageBatchInput struct {
	queueInput
	Entries []sendEntry
}

func (s *Server) sendMessageBatch(_ call, in *sendMessageBatchInput) (*batchResult[sentEntry], error) {
	size := 0
	for i := range in.Entries {
		size += in.Entries[i].size()
	}
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	if size > maxBatchBytes {
		return nil, sqsError("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong",
			"Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBatchBytes, size)
	}
	return runBatch(in.Entries, func(e sendEntry) (sentEntry, error) {
		sent, err := q.accept(&e.messageInput, now)
		if err != nil {
			return sentEntry{}, err
		}
		return sentEntry{e.batchID, *sent}, nil
	})
}

type receiveMessageInput struct {
	queueInput
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type receivedMessage struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string           `json:",omitempty"`
	MD5OfMessageAttributes string                      `json:",omitempty"`
	MessageAttributes      map[string]messageAttribute `json:",omitempty"`
}

type receivedMessages struct {
	Messages []receivedMessage `json:",omitempty"`
}

func (s *Server) receiveMessage(c call, in *receiveMessageInput) (*receivedMessages, error) {
	limit := 1
	if n := in.MaxNumberOfMessages; n != nil {
		if limit = *n; limit < 1 || limit > maxBatch {
			return nil, errInvalidParameter("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", limit)
		}
	}
	q, _, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	visibility, err := secondsOr(in.VisibilityTimeout, q.visibility, "VisibilityTimeout", int(maxVisibility/time.Second))
	var wait time.Duration
	if err == nil {
		wait, err = secondsOr(in.WaitTimeSeconds, q.receiveWait, "WaitTimeSeconds", maxWait)
	}
	if err != nil {
		s.release(q)
		return nil, err
	}
	got, err := s.await(c, q, limit, visibility, wait)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out := &receivedMessages{}
	systemNames := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	for i := range got {
		d := &got[i]
		m := receivedMessage{
			MessageID: d.id, ReceiptHandle: d.handle, MD5OfBody: d.bodyMD5, Body: d.body,
			Attributes:        d.systemAttributes(systemNames, q.fifo),
			MessageAttributes: chosenAttributes(d.attributes, in.MessageAttributeNames),
		}
		m.MD5OfMessageAttributes = attributesMD5(m.MessageAttributes)
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}

// secondsOr is a parameter in seconds, or the queue's value where it is not given.
func secondsOr(given *int, otherwise time.Duration, name string, highest int) (time.Duration, error) {
	if given == nil {
		return otherwise, nil
	}
	if *given < 0 || *given > highest {
		return 0, errInvalidParameter("Value %d for parameter %s is invalid. Reason: Must be >= 0 and <= %d, if provided.", *given, name, highest)
	}
	return time.Duration(*given) * time.Second, nil
}

// systemAttributes are what SQS itself knows of a delivered message.
func (d *delivery) systemAttributes(names []string, fifo bool) map[string]string {
	millis := func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
	every := map[string]string{
		"SenderId":                         "AIDALOCAL",
		"SentTimestamp":                    millis(d.sent),
		"ApproximateReceiveCount":          strconv.Itoa(d.receivedBefore + d.receives),
		"ApproximateFirstReceiveTimestamp": millis(d.firstReceived),
		"MessageGroupId":                   d.group,
		"MessageDeduplicationId":           d.deduplicationID,
		"DeadLetterQueueSourceArn":         d.source,
	}
	if fifo {
		every["SequenceNumber"] = sequenceNumber(d.sequence)
	}
	chosen := map[string]string{}
	for name, value := range every {
		if value != "" && (slices.Contains(names, "All") || slices.Contains(names, name)) {
			chosen[name] = value
		}
	}
	return chosen
}

type receiptInput struct {
	ReceiptHandle     string
	VisibilityTimeout *int // of ChangeMessageVisibility only
}

func (q *queue) deleteReceipt(in receiptInput) error {
	if in.ReceiptHandle == "" {
		return errMissingParameter("ReceiptHandle")
	}
	if err := q.delete(in.ReceiptHandle); err != nil {
		return err
	}
	return nil
}

func (q *queue) changeReceipt(in receiptInput, now time.Time) error {
	if in.ReceiptHandle == "" {
		return errMissingParameter("ReceiptHandle")
	}
	if in.VisibilityTimeout == nil {
		return errMissingParameter("VisibilityTimeout")
	}
	timeout, err := secondsOr(in.VisibilityTimeout, 0, "VisibilityTimeout", int(maxVisibility/time.Second))
	if err != nil {
		return err
	}
	if err := q.changeVisibility(in.ReceiptHandle, timeout, now); err != nil {
		return err
	}
	return nil
}

type receiptMessageInput struct {
	queueInput
	receiptInput
}

func (s *Server) deleteMessage(_ call, in *receiptMessageInput) (*nothing, error) {
	q, _, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	return &nothing{}, q.deleteReceipt(in.receiptInput)
}

func (s *Server) changeMessageVisibility(_ call, in *receiptMessageInput) (*nothing, error) {
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	return &nothing{}, q.changeReceipt(in.receiptInput, now)
}

type receiptEntry struct {
	batchID
	receiptInput
}

type receiptBatchInput struct {
	queueInput
	Entries []receiptEntry
}

func (s *Server) deleteMessageBatch(_ call, in *receiptBatchInput) (*batchResult[batchID], error) {
	q, _, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	return runBatch(in.Entries, func(e receiptEntry) (batchID, error) {
		return e.batchID, q.deleteReceipt(e.receiptInput)
	})
}

func (s *Server) changeMessageVisibilityBatch(_ call, in *receiptBatchInput) (*batchResult[batchID], error) {
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	return runBatch(in.Entries, func(e receiptEntry) (batchID, error) {
		return e.batchID, q.changeReceipt(e.receiptInput, now)
	})
}
