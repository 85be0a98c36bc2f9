package lint

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/argoapi"
	"github.com/keda-headroom/headroom/internal/bypass"
	"github.com/keda-headroom/headroom/internal/policyfiles"
	"github.com/keda-headroom/headroom/policy"
)

// CodeManifest is an object that no API server would take.
const CodeManifest = "Manifest"

// manifest is an object of a kind that matters here, and where it stands.
type manifest struct {
	file, namespace string
	policyfiles.Object
}

// skipped is a document that is none of ours.
type skipped struct {
	File string `json:"file"`
	Line int    `json:"line"`
	What string `json:"what"` // apiVersion and kind
}

func skip(file string, object policyfiles.Object) skipped {
	what := strings.TrimSpace(object.APIVersion + " " + object.Kind)
	if what == "" {
		what = "no apiVersion and no kind"
	}
	return skipped{File: file, Line: object.Root.Line, What: what}
}

// judged reports whether objects of the kind are read, to be judged or because
// they have to do with what is.
func judged(apiVersion, kind string) bool {
	group, _, _ := strings.Cut(apiVersion, "/")
	switch kind {
	case "ScaledObject", "ScaledJob":
		return group == "keda.sh"
	case "HorizontalPodAutoscaler":
		return group == "autoscaling"
	case "Deployment", "StatefulSet", "DaemonSet":
		return group == "apps"
	case "CronJob":
		return group == "batch"
	case "Rollout":
		return group == argoapi.Group
	case "PodDisruptionBudget":
		return group == "policy"
	case "Service":
		return apiVersion == "v1"
	}
	return false
}

// defaultNamespace is that of manifests which name none.
const defaultNamespace = "default"

// manifest reads one object.
func (j *judgment) manifest(m manifest) {
	if m.Kind == "ScaledObject" || m.Kind == "ScaledJob" {
		j.recognized++
	}
	namespace := m.namespace
	if namespace == "" {
		namespace = defaultNamespace
	}
	var value any
	err := m.Root.Decode(&value)
	var text []byte
	if err == nil {
		text, err = json.Marshal(value)
	}
	var object bypass.Object
	if err == nil {
		object, _, err = j.inventory.Add(m.APIVersion, m.Kind, namespace, text)
	}
	if err != nil {
		j.report.Findings = append(j.report.Findings, m.wrong(err))
		return
	}
	j.objects[object] = m
}

// wrong says why an object can't be read. A value is never shown: an environment
// may hold a secret.
func (m manifest) wrong(err error) Finding {
	f := Finding{
		File: m.file, Line: m.Root.Line, Column: m.Root.Column, Severity: policy.SeverityError, Code: CodeManifest,
		Object: m.Kind + " " + m.Name(),
		Rule:   "expected an object as the API has it",
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		f.Field, f.Value, f.Rule = kind.Field, "a "+kind.Value, "expected "+kind.Type.String()
		f.Line, f.Column = m.locate(kind.Field)
	}
	return f
}

// locate returns where a field stands, or what is nearest above it:
// "spec.triggers[1].metadata", "metadata.annotations[autoscaling.keda.sh/paused]".
func (m manifest) locate(field string) (line, column int) {
	at, node := m.Root, m.Root
	for _, step := range steps(field) {
		for node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		var key, next *yaml.Node
		switch node.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == step {
					key, next = node.Content[i], node.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if n, err := strconv.Atoi(step); err == nil && n >= 0 && n < len(node.Content) {
				key, next = node.Content[n], node.Content[n]
			}
		}
		if next == nil {
			break
		}
		at, node = key, next
	}
	return at.Line, at.Column
}

// steps takes a path apart.
func steps(field string) []string {
	var all []string
	for field != "" {
		if rest, inside := strings.CutPrefix(field, "["); inside {
			step, after, _ := strings.Cut(rest, "]")
			all, field = append(all, step), strings.TrimPrefix(after, ".")
			continue
		}
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			return append(all, field)
		}
		all = append(all, field[:end])
		field = strings.TrimPrefix(field[end:], ".")
	}
	return all
}
