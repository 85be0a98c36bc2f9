package policy

import (
	"time"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

// This file is where defaults are; there are none elsewhere. docs/policy.md
// shows them, and a test holds it to them.

// docDefaulter is a part of a document that does not begin as its zero value.
// Decoding starts from what setDefaults leaves and overwrites what is given.
type docDefaulter interface{ setDefaults() }

const (
	docDefaultNamespace = "default"
	// docDefaultReadings is how many polls may fail before a reading of a
	// database is too old.
	docDefaultReadings = 5
)

// docComputed are the defaults that depend on something else, in words for the
// reference; complete fills them in.
var docComputed = map[string]string{
	"metadata.namespace":                   "the ConfigMap's, else `default`",
	"metadata.name":                        "the ConfigMap's",
	"databases[].maxReadingAge":            "5 × pollInterval",
	"workloads[].sqs.idlePollInterval":     "pollInterval",
	"workloads[].databaseRefs[].namespace": "the policy's own",
}

func (d *docDatabase) setDefaults() {
	d.Reserve = intorpercent.Percent(10)
	d.OthersWindow = 30 * time.Minute
	d.PollInterval = 2 * time.Second
	d.MaxPriority = 100
}

func (w *docWorkload) setDefaults() {
	w.Mode = string(Observe)
	w.ReadyTimeout = 10 * time.Minute
	w.ScaleDownStabilization = time.Minute
}

func (s *docShedding) setDefaults() {
	s.MinReplicas = 1
}

func (s *docSQS) setDefaults() {
	s.Concurrency = 1
	s.PollInterval = 5 * time.Second
	s.StaleAfter = time.Minute
	s.ErrorAfter = 5 * time.Minute
}

// complete fills in the defaults that depend on something else: on other
// fields, or on the document's namespace.
func (p *docPolicy) complete(namespace string) {
	for i := range p.Databases {
		if d := &p.Databases[i]; d.MaxReadingAge == 0 {
			d.MaxReadingAge = docDefaultReadings * d.PollInterval
		}
	}
	for i := range p.Workloads {
		if q := p.Workloads[i].SQS; q != nil && q.IdlePollInterval == 0 {
			q.IdlePollInterval = q.PollInterval
		}
		refs := p.Workloads[i].DatabaseRefs
		for j := range refs {
			if refs[j].Namespace == "" {
				refs[j].Namespace = namespace
			}
		}
	}
}
