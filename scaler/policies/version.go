package policies

import (
	"bytes"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/policy"
)

// address is an input's among those of all origins.
type address struct{ origin, key string }

// version is one version of an input, parsed. The zero version describes
// nothing.
type version struct {
	source    policy.Source
	content   []byte
	documents []policy.Document // the right ones, when not all are
	problems  []policy.Problem

	databases, workloads []metrics.ID
}

func parse(source policy.Source, content []byte) version {
	v := version{source: source, content: content}
	v.documents, v.problems = policy.Parse(source, content)
	described, _ := policy.Resolve(v.documents)
	for _, d := range described.Databases {
		v.databases = append(v.databases, d.ID)
	}
	for _, w := range described.Workloads {
		v.workloads = append(v.workloads, w.ID)
	}
	return v
}

// good reports whether the version has no error.
func (v version) good() bool { return !policy.HasErrors(v.problems) }

// of reports whether the version is that of this source and content.
func (v version) of(source policy.Source, content []byte) bool {
	return v.source == source && bytes.Equal(v.content, content)
}

// kept is the version as it is kept.
func (v version) kept(at address) Describing {
	return Describing{
		Kept:      Kept{Origin: at.origin, Key: at.key, Source: v.source, Content: v.content},
		Databases: v.databases, Workloads: v.workloads,
	}
}
