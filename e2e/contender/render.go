package contender

import (
	"bytes"
	"fmt"
	"text/template"

	"github.com/keda-headroom/headroom/e2e/scenario"
)

// Lane is what one contender finds in one run of a scenario: a namespace, a
// database and queues of its own.
type Lane struct {
	Scenario  scenario.Scenario
	Namespace string
	// Database is where the server is reached, and what its database is called.
	Database Database
	// AWS is where SQS is reached.
	AWS AWS
	// Headroom is the host:port where its service is reached, "" where it isn't.
	Headroom string
	// Fleets are those of [scenario.Scenario.Expand].
	Fleets []Fleet
	// Parameter are the values of the contender's parameters; rendering fills
	// them in.
	Parameter map[string]string
}

// Database is a PostgreSQL server as clients reach it.
type Database struct {
	Host, Port, Name string
	// Worker is the role of the fleets' pods.
	Worker string
}

// DSN is the data source name of a role.
func (d Database) DSN(role string) string {
	return fmt.Sprintf("postgres://%s@%s:%s/%s?sslmode=disable", role, d.Host, d.Port, d.Name)
}

// AWS is an SQS as clients reach it.
type AWS struct{ Endpoint, Region string }

// Fleet is a fleet of the scenario in a lane.
type Fleet struct {
	scenario.Fleet
	QueueURL string
	// FixedReplicas and CarefulReplicas are those of the scenario.
	FixedReplicas, CarefulReplicas int
}

// LaneFleet is one fleet, and the lane that it is in.
type LaneFleet struct {
	Lane
	Fleet Fleet
}

// Fleets are a scenario's fleets, with queueURL for each of their queues.
func Fleets(s scenario.Scenario, queueURL func(fleet string) string) []Fleet {
	all, fixed, careful := s.Expand(), s.FixedReplicas(), s.CarefulReplicas()
	out := make([]Fleet, len(all))
	for i, f := range all {
		out[i] = Fleet{Fleet: f, QueueURL: queueURL(f.Name), FixedReplicas: fixed[i], CarefulReplicas: careful[i]}
	}
	return out
}

// Manifests are the Kubernetes manifests of the variant for a lane, YAML
// documents. They are empty for whoever scales nothing.
func (v Variant) Manifests(lane Lane) ([]byte, error) {
	lane.Parameter = v.Parameters
	var out bytes.Buffer
	execute := func(t *template.Template, data any) error {
		out.WriteString("---\n")
		if err := t.Execute(&out, data); err != nil {
			return fmt.Errorf("contender %s for scenario %s: %w", v.Name, lane.Scenario.Name, err)
		}
		out.WriteString("\n")
		return nil
	}
	if err := execute(v.lane, lane); err != nil {
		return nil, err
	}
	for _, f := range lane.Fleets {
		if err := execute(v.fleet, LaneFleet{lane, f}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// StartReplicas are the replicas that a fleet's Deployment begins with.
func (v Variant) StartReplicas(f Fleet) int {
	if v.Replicas == Fixed {
		return f.FixedReplicas
	}
	return f.MinReplicas
}
