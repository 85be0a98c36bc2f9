package policytest

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/intorpercent"
	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// Kind heads a file of tests; its apiVersion is that of policies.
const Kind = "PolicyTest"

// fileDocument is a file of tests as its author writes it.
type fileDocument struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	// Policies are files, relative to the file of tests.
	Policies []string `yaml:"policies"`
	Tests    []test   `yaml:"tests"`
}

// test is one test. Given and Expect are short for a single step at 0s.
type test struct {
	Name string `yaml:"name"`
	// FreshStart begins as a server without memory does, that has yet to watch
	// others. Without it others were watched for long enough before.
	FreshStart bool        `yaml:"freshStart"`
	Given      *given      `yaml:"given"`
	Expect     expectation `yaml:"expect"`
	Steps      []step      `yaml:"steps"`
}

// step is an instant at which something changes, or is expected, or both.
type step struct {
	At     *span       `yaml:"at"`
	Given  *given      `yaml:"given"`
	Expect expectation `yaml:"expect"`
}

// given says what is from now on. What it leaves out stays as it was.
type given struct {
	Databases map[id]databaseGiven `yaml:"databases"`
	Workloads map[id]workloadGiven `yaml:"workloads"`
}

type databaseGiven struct {
	// Limits are the server's, and those of roles and databases on it, by name:
	// server, role/NAME, database/NAME.
	Limits map[string]int `yaml:"limits"`
	// Others are connections that no workload of the policies opened, by user,
	// or "user@database".
	Others *sessions `yaml:"others"`
	// Ghosts are connections of workloads' users that belong to no pod, by user.
	Ghosts *sessions `yaml:"ghosts"`
	// Unknown says why the database can't be read; "" can be read again.
	Unknown *string `yaml:"unknown"`
	Full    *bool   `yaml:"full"`
	// ReadOnly is a server in recovery.
	ReadOnly *bool `yaml:"readOnly"`
	// Server is the server's identity: another text is another server, or a
	// restart.
	Server *string `yaml:"server"`
	// Name is the database that the monitor is connected to.
	Name *string `yaml:"name"`
	// Attribution is Address or Login.
	Attribution *string `yaml:"attribution"`
}

type workloadGiven struct {
	Queue *queueGiven `yaml:"queue"`
	// Replicas is spec.replicas, and as many ready pods unless Pods says
	// otherwise.
	Replicas *int `yaml:"replicas"`
	// ConnectionsPerPod is what each pod holds on each of its databases; left
	// out, what the policy declares.
	ConnectionsPerPod *int         `yaml:"connectionsPerPod"`
	Pods              *[]podsGiven `yaml:"pods"`
	// MinReplicas and MaxReplicas are the ScaledObject's own bounds.
	MinReplicas *int `yaml:"minReplicas"`
	MaxReplicas *int `yaml:"maxReplicas"`
	// MaxSurge is the Deployment's: a count, or a percentage.
	MaxSurge *share `yaml:"maxSurge"`
	// ScaleDownTolerance and ScaleDownStabilization are the HPA's.
	ScaleDownTolerance     *share `yaml:"scaleDownTolerance"`
	ScaleDownStabilization *span  `yaml:"scaleDownStabilization"`
	// Unknown says why the pods can't be seen; "" can be seen again.
	Unknown *string `yaml:"unknown"`
}

type queueGiven struct {
	Visible  *int64  `yaml:"visible"`
	InFlight *int64  `yaml:"inFlight"`
	Delayed  *int64  `yaml:"delayed"`
	FIFO     *bool   `yaml:"fifo"`
	Unknown  *string `yaml:"unknown"`
}

// podsGiven are pods that are alike.
type podsGiven struct {
	Count             int   `yaml:"count"`
	ConnectionsPerPod *int  `yaml:"connectionsPerPod"`
	NotReady          bool  `yaml:"notReady"`
	Gated             bool  `yaml:"gated"`
	Terminating       bool  `yaml:"terminating"`
	Finished          bool  `yaml:"finished"`
	Revision          int64 `yaml:"revision"`
}

// expectation is what is expected of each workload.
type expectation map[id]expected

// expected is what is expected of one workload; what is left out is not looked at.
type expected struct {
	// Demand is what the queue asks for, before any bound.
	Demand     *int     `yaml:"demand"`
	Ceiling    *int     `yaml:"ceiling"`
	Target     *int     `yaml:"target"`
	Value      *float64 `yaml:"value"`
	Active     *bool    `yaml:"active"`
	Failure    *bool    `yaml:"failure"`
	Reason     *string  `yaml:"reason"`
	Binding    *string  `yaml:"binding"`
	Admissions *int     `yaml:"admissions"`
}

// wrong is a problem with one value, told together with all others.
func wrong(n *yaml.Node, expected string) error {
	found := n.Value
	if n.Kind != yaml.ScalarNode {
		found = kinds[n.Kind]
	}
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: expected %s, found %s", n.Line, expected, found)}}
}

var kinds = map[yaml.Kind]string{yaml.MappingNode: "an object", yaml.SequenceNode: "a list", yaml.AliasNode: "an alias"}

// id is a "namespace/name".
type id metrics.ID

func (i *id) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := metrics.ParseID(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return wrong(n, "NAMESPACE/NAME")
	}
	*i = id(parsed)
	return nil
}

// span is a duration.
type span time.Duration

func (s *span) UnmarshalYAML(n *yaml.Node) error {
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d < 0 {
		return wrong(n, `a duration such as "30s"`)
	}
	*s = span(d)
	return nil
}

// share is a count or a percentage.
type share intorpercent.Value

func (s *share) UnmarshalYAML(n *yaml.Node) error {
	v, err := intorpercent.Parse(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return wrong(n, `a count or a percentage such as "25%"`)
	}
	*s = share(v)
	return nil
}

// sessions are numbers of connections by user; a bare number is of somebody.
type sessions map[string]int

// somebody is the user behind a bare number of others.
const somebody = "others"

func (s *sessions) UnmarshalYAML(n *yaml.Node) error {
	var number int
	if n.Kind == yaml.ScalarNode && n.Decode(&number) == nil {
		*s = sessions{somebody: number}
		return nil
	}
	byUser := map[string]int{}
	if n.Kind != yaml.MappingNode || n.Decode(&byUser) != nil {
		return wrong(n, "a number of connections, or numbers by user")
	}
	*s = byUser
	return nil
}

// File is a file of tests that is right by itself.
type File struct {
	Path  string
	set   policy.Set
	tests []test
}

// Tests returns the names of the tests.
func (f File) Tests() []string {
	names := make([]string, len(f.tests))
	for i, t := range f.tests {
		names[i] = t.Name
	}
	return names
}
