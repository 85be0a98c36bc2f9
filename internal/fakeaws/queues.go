package fakeaws

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// This file answers the operations on queues.

type queueURLResult struct {
	QueueURL string `json:"QueueUrl"`
}

type nothing struct{}

func (s *Server) arn(name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.options.Region, s.options.AccountID, name)
}

func (s *Server) queueURL(host, name string) queueURLResult {
	return queueURLResult{fmt.Sprintf("http://%s/%s/%s", host, s.options.AccountID, name)}
}

// byARN returns a queue, nil if there is none. The caller holds the lock.
func (s *Server) byARN(arn string) *hostedQueue {
	name, ok := strings.CutPrefix(arn, s.arn(""))
	if !ok {
		return nil
	}
	return s.queues[name]
}

// use locks the server and returns the queue of a URL, advanced to now. The
// host in the URL does not matter, as with an SDK's endpoint override. The
// caller unlocks with release, unless there was an error.
func (s *Server) use(queueURL string) (*hostedQueue, time.Time, error) {
	if queueURL == "" {
		return nil, time.Time{}, errMissingParameter("QueueUrl")
	}
	u, err := url.Parse(queueURL)
	if err != nil || u.Host == "" {
		return nil, time.Time{}, sqsError("InvalidAddress", "InvalidAddress", "The address %s is not valid for this endpoint.", queueURL)
	}
	account, name, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	s.mu.Lock()
	q := s.queues[name]
	if q == nil || account != s.options.AccountID {
		s.mu.Unlock()
		return nil, time.Time{}, errQueueDoesNotExist()
	}
	now := s.now()
	q.advance(now)
	q.series.touch(now)
	return q, now, nil
}

// release ends a use: whoever can be served by what it did is woken.
func (s *Server) release(q *hostedQueue) {
	s.settleWaiters(q)
	s.mu.Unlock()
}

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
}

func (s *Server) createQueue(c call, in *createQueueInput) (*queueURLResult, error) {
	set, bad := newSettings(in.Attributes)
	if bad == nil {
		bad = checkQueueName(in.QueueName, set.fifo)
	}
	if bad != nil {
		return nil, bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := s.queueURL(c.host, in.QueueName)
	if q := s.queues[in.QueueName]; q != nil {
		for name, value := range in.Attributes {
			if q.raw[name] != value {
				return nil, sqsError("QueueNameExists", "QueueAlreadyExists",
					"A queue already exists with the same name and a different value for attribute %s", name)
			}
		}
		return &answer, nil
	}
	if err := s.checkRedrive(set); err != nil {
		return nil, err
	}
	s.lastQueue++
	s.queues[in.QueueName] = &hostedQueue{
		queue: newQueue(s.lastQueue, in.QueueName, s.arn(in.QueueName), set, s.options.SampleOffset, s.now()),
	}
	return &answer, nil
}

// checkRedrive holds a redrive policy against the queues there are. The
// caller holds the lock.
func (s *Server) checkRedrive(set settings) error {
	if set.redrive == nil {
		return nil
	}
	target := s.byARN(set.redrive.target)
	reason := ""
	switch {
	case target == nil:
		reason = "Dead letter target does not exist."
	case target.fifo != set.fifo:
		reason = "Dead-letter queue must be same type of queue as the source."
	default:
		return nil
	}
	return errInvalidParameter("Value %s for parameter RedrivePolicy is invalid. Reason: %s", set.raw["RedrivePolicy"], reason)
}

type queueInput struct {
	QueueURL string `json:"QueueUrl"`
}

func (s *Server) deleteQueue(_ call, in *queueInput) (*nothing, error) {
	q, _, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	delete(s.queues, q.name)
	q.deleted = true
	q.disarm()
	for _, w := range q.waiters {
		close(w)
	}
	q.waiters = nil
	return &nothing{}, nil
}

func (s *Server) purgeQueue(_ call, in *queueInput) (*nothing, error) {
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	if !q.purged.IsZero() && now.Sub(q.purged) < minute {
		return nil, sqsError("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress",
			"Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	q.purged = now
	q.purge()
	return &nothing{}, nil
}

type getQueueURLInput struct {
	QueueName              string
	QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId"`
}

func (s *Server) getQueueURL(c call, in *getQueueURLInput) (*queueURLResult, error) {
	if in.QueueName == "" {
		return nil, errMissingParameter("QueueName")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[in.QueueName]
	if q == nil || in.QueueOwnerAWSAccountID != "" && in.QueueOwnerAWSAccountID != s.options.AccountID {
		return nil, errQueueDoesNotExist()
	}
	q.series.touch(s.now())
	answer := s.queueURL(c.host, in.QueueName)
	return &answer, nil
}

type getQueueAttributesInput struct {
	QueueURL       string `json:"QueueUrl"`
	AttributeNames []string
}

type queueAttributes struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Server) getQueueAttributes(_ call, in *getQueueAttributesInput) (*queueAttributes, error) {
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	every := q.attributes(now)
	chosen := map[string]string{}
	for _, name := range in.AttributeNames {
		if name == "All" {
			return &queueAttributes{every}, nil
		}
		if !knownAttribute(name) {
			return nil, sqsError("InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
		if value, ok := every[name]; ok {
			chosen[name] = value
		}
	}
	return &queueAttributes{chosen}, nil
}

// attributes are all of a queue's attributes.
func (q *queue) attributes(now time.Time) map[string]string {
	g := q.gauges(now)
	out := map[string]string{
		"QueueArn":                              q.arn,
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(g.visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(g.inFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(g.delayed),
	}
	for name, value := range q.raw {
		out[name] = value
	}
	return out
}

type setQueueAttributesInput struct {
	QueueURL   string `json:"QueueUrl"`
	Attributes map[string]string
}

func (s *Server) setQueueAttributes(_ call, in *setQueueAttributesInput) (*nothing, error) {
	q, now, err := s.use(in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.release(q)
	if len(in.Attributes) == 0 {
		return nil, errMissingParameter("Attributes")
	}
	set, bad := q.with(in.Attributes)
	if bad != nil {
		return nil, bad
	}
	if err := s.checkRedrive(set); err != nil {
		return nil, err
	}
	q.settings, q.modified = set, now
	return &nothing{}, nil
}
