package fakeaws

import (
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// settings are a queue's attributes, as given and as understood.
type settings struct {
	raw map[string]string // as GetQueueAttributes returns them, defaults included

	delay       time.Duration
	visibility  time.Duration
	retention   time.Duration
	receiveWait time.Duration
	maximumSize int // bytes of a message, its attributes included

	fifo                      bool
	contentBasedDeduplication bool
	deduplicateByGroup        bool
	redrive                   *redrivePolicy
}

// redrivePolicy says where messages go that were received too often.
type redrivePolicy struct {
	target      string // ARN
	maxReceives int
}

// numericAttributes are the attributes that are numbers, with their defaults
// and bounds (seconds, or bytes) in the API reference of SetQueueAttributes.
var numericAttributes = map[string]struct{ standard, lowest, highest int }{
	"DelaySeconds":                  {0, 0, 900},
	"MaximumMessageSize":            {1 << 20, 1 << 10, 1 << 20},
	"MessageRetentionPeriod":        {345600, 60, 1209600},
	"ReceiveMessageWaitTimeSeconds": {0, 0, 20},
	"VisibilityTimeout":             {30, 0, 43200},
}

// fifoAttributes are the attributes of FIFO queues, with the values they may
// have; the first is the default.
var fifoAttributes = map[string][]string{
	"FifoQueue":                 {"true"},
	"ContentBasedDeduplication": {"false", "true"},
	"DeduplicationScope":        {"queue", "messageGroup"},
	"FifoThroughputLimit":       {"perQueue", "perMessageGroupId"},
}

// keptAttributes are known, kept and given back, and change nothing here.
var keptAttributes = map[string]bool{
	"Policy": true, "RedriveAllowPolicy": true, "SqsManagedSseEnabled": true,
	"KmsMasterKeyId": true, "KmsDataKeyReusePeriodSeconds": true,
}

// computedAttributes can be asked for and not set.
var computedAttributes = map[string]bool{
	"QueueArn": true, "CreatedTimestamp": true, "LastModifiedTimestamp": true,
	"ApproximateNumberOfMessages": true, "ApproximateNumberOfMessagesNotVisible": true,
	"ApproximateNumberOfMessagesDelayed": true,
}

// knownAttribute tells whether GetQueueAttributes may ask for the name.
func knownAttribute(name string) bool {
	_, number := numericAttributes[name]
	_, fifo := fifoAttributes[name]
	return number || fifo || keptAttributes[name] || computedAttributes[name] || name == "RedrivePolicy"
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkQueueName holds a name against the rules of CreateQueue.
func checkQueueName(name string, fifo bool) *apiError {
	switch base, suffixed := strings.CutSuffix(name, ".fifo"); {
	case name == "":
		return errMissingParameter("QueueName")
	case fifo && !suffixed:
		return errInvalidParameter("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	case suffixed && !fifo, len(name) > 80, !queueName.MatchString(base):
		return errInvalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	return nil
}

// newSettings reads the attributes of a queue, with the defaults for the rest.
func newSettings(attributes map[string]string) (settings, *apiError) {
	s := settings{raw: map[string]string{}}
	for name, a := range numericAttributes {
		s.raw[name] = strconv.Itoa(a.standard)
	}
	if attributes["FifoQueue"] == "true" {
		for name, values := range fifoAttributes {
			s.raw[name] = values[0]
		}
	}
	return s.with(attributes)
}

// with returns the settings after a change of some attributes; an empty
// RedrivePolicy removes it.
func (s settings) with(attributes map[string]string) (settings, *apiError) {
	raw := maps.Clone(s.raw)
	for name, value := range attributes {
		if err := checkAttribute(name, value, raw["FifoQueue"] == "true"); err != nil {
			return settings{}, err
		}
		raw[name] = value
		if value == "" {
			delete(raw, name)
		}
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(raw[name]) // checked above
		return n
	}
	seconds := func(name string) time.Duration { return time.Duration(number(name)) * time.Second }
	out := settings{
		raw:                       raw,
		delay:                     seconds("DelaySeconds"),
		visibility:                seconds("VisibilityTimeout"),
		retention:                 seconds("MessageRetentionPeriod"),
		receiveWait:               seconds("ReceiveMessageWaitTimeSeconds"),
		maximumSize:               number("MaximumMessageSize"),
		fifo:                      raw["FifoQueue"] == "true",
		contentBasedDeduplication: raw["ContentBasedDeduplication"] == "true",
		deduplicateByGroup:        raw["DeduplicationScope"] == "messageGroup",
	}
	if policy := raw["RedrivePolicy"]; policy != "" {
		var err *apiError
		if out.redrive, err = parseRedrivePolicy(policy); err != nil {
			return settings{}, err
		}
	}
	return out, nil
}

func checkAttribute(name, value string, fifo bool) *apiError {
	invalid := func() *apiError {
		return sqsError("InvalidAttributeValue", "InvalidAttributeValue", "Invalid value for the parameter %s.", name)
	}
	if bounds, ok := numericAttributes[name]; ok {
		if n, err := strconv.Atoi(value); err != nil || n < bounds.lowest || n > bounds.highest {
			return invalid()
		}
		return nil
	}
	if values, ok := fifoAttributes[name]; ok {
		if !fifo {
			return sqsError("InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
		for _, allowed := range values {
			if value == allowed {
				return nil
			}
		}
		return invalid()
	}
	if !keptAttributes[name] && name != "RedrivePolicy" {
		return sqsError("InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute %s.", name)
	}
	return nil
}

func parseRedrivePolicy(policy string) (*redrivePolicy, *apiError) {
	var document struct {
		Target      string          `json:"deadLetterTargetArn"`
		MaxReceives json.RawMessage `json:"maxReceiveCount"` // AWS takes 3 and "3"
	}
	err := json.Unmarshal([]byte(policy), &document)
	n, countErr := strconv.Atoi(strings.Trim(string(document.MaxReceives), `"`))
	if err != nil || countErr != nil || document.Target == "" || n < 1 || n > 1000 {
		return nil, errInvalidParameter("Value %s for parameter RedrivePolicy is invalid. Reason: expected deadLetterTargetArn and a maxReceiveCount of 1 to 1000.", policy)
	}
	return &redrivePolicy{target: document.Target, maxReceives: n}, nil
}
