package scenario

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Duration is a time span of zero or more, written as in 1m30s.
type Duration time.Duration

// Duration returns d as the standard library has it.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// Seconds returns d in seconds.
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }

// String returns d as it may be written.
func (d Duration) String() string { return time.Duration(d).String() }

// UnmarshalYAML belongs to [yaml.Unmarshaler].
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || parsed < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: expected a duration such as 30s, found %q", n.Line, n.Value)}}
	}
	*d = Duration(parsed)
	return nil
}
