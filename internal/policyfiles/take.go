package policyfiles

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/policy"
)

// Object is a manifest that holds no policy, with the lines of its file.
type Object struct {
	APIVersion, Kind string // "" where it names none
	Root             *yaml.Node
}

// Name returns the object's namespace and name, as they are written.
func (o Object) Name() string {
	return strings.TrimPrefix(field(o.Root, "metadata", "namespace")+"/"+field(o.Root, "metadata", "name"), "/")
}

// marker is what begins and ends a document. YAML allows it nowhere else at the
// beginning of a line.
var marker = regexp.MustCompile(`(?m)^(---|\.\.\.)([ \t\r].*)?$`)

// taker takes one file apart.
type taker struct {
	file, namespace string
	content         []byte
	texts           []Text
	objects         []Object
}

// Take takes a file of YAML or JSON apart, into what is to be read as policies and
// the rest. Policies that name no namespace get this one. What is no YAML is taken for a
// policy: reading it says what is wrong.
func Take(file, namespace string, content []byte) ([]Text, []Object) {
	t := taker{file: file, namespace: namespace, content: content}
	start := 0
	cut := func(end int) {
		t.document(content[start:end], bytes.Count(content[:start], []byte{'\n'}))
		start = end
	}
	for _, at := range marker.FindAllIndex(content, -1) {
		cut(at[0])
		if bytes.HasPrefix(content[at[0]:], []byte("...")) {
			start = at[1] // an end belongs to no document
		}
	}
	cut(len(content))
	return t.texts, t.objects
}

// document sees what one YAML document is. Before it are this many lines.
func (t *taker) document(content []byte, before int) {
	// The lines before are kept as empty ones, so that places are those of the file.
	whole := Text{
		Source: policy.Source{Where: t.file}, File: t.file,
		Content: append(bytes.Repeat([]byte{'\n'}, before), content...), Place: func(line, column int) (int, int) { return line, column },
	}
	var node yaml.Node
	if err := yaml.Unmarshal(content, &node); err != nil {
		t.texts = append(t.texts, whole) // policy.Parse says what is wrong, and where
		return
	}
	if len(node.Content) == 0 {
		return // only comments
	}
	shift(&node, before)
	t.object(node.Content[0], whole)
}

// object sees what one object is: a policy, a ConfigMap of policies, a list, or
// anything else.
func (t *taker) object(root *yaml.Node, whole Text) {
	apiVersion, kind := field(root, "apiVersion"), field(root, "kind")
	group, _, _ := strings.Cut(policy.APIVersion, "/")
	switch {
	case strings.HasPrefix(apiVersion, group+"/"),
		apiVersion == "" && kind == policy.Kind,
		apiVersion == "" && kind == "" && (value(root, "databases") != nil || value(root, "workloads") != nil):
		if field(root, "metadata", "namespace") == "" {
			whole.Source.Namespace = t.namespace
		}
		t.texts = append(t.texts, whole)
	case apiVersion == "v1" && kind == "ConfigMap" && field(root, "metadata", "labels", inventory.PolicyLabel) == "true":
		t.configMap(root)
	case apiVersion == "v1" && strings.HasSuffix(kind, "List"):
		if items := value(root, "items"); items != nil && items.Kind == yaml.SequenceNode {
			for _, item := range items.Content {
				t.listed(item)
			}
		}
	default:
		t.objects = append(t.objects, Object{apiVersion, kind, root})
	}
}

// listed sees what an object inside a list is. A policy in there is written anew,
// so that only its first line is known.
func (t *taker) listed(item *yaml.Node) {
	content, err := yaml.Marshal(item)
	if err != nil {
		t.objects = append(t.objects, Object{Root: item})
		return
	}
	t.object(item, Text{
		Source: policy.Source{Where: fmt.Sprintf("%s:%d (in a list)", t.file, item.Line)}, File: t.file, Content: content,
		Place: func(int, int) (int, int) { return item.Line, item.Column },
	})
}

// configMap takes the policies in a ConfigMap: each of its values.
func (t *taker) configMap(root *yaml.Node) {
	data := value(root, "data")
	if data == nil || data.Kind != yaml.MappingNode {
		return
	}
	name, namespace := field(root, "metadata", "name"), field(root, "metadata", "namespace")
	if namespace == "" {
		namespace = t.namespace
	}
	for i := 0; i+1 < len(data.Content); i += 2 {
		key, content := data.Content[i], data.Content[i+1]
		text := Text{
			File: t.file, Content: []byte(content.Value), Object: fmt.Sprintf("ConfigMap %s, key %s", strings.TrimPrefix(namespace+"/"+name, "/"), key.Value),
			Place: func(int, int) (int, int) { return key.Line, key.Column },
		}
		if content.Style&yaml.LiteralStyle != 0 {
			// The text begins in the line below the "|", indented.
			indent := indentation(t.content, content.Line+1)
			text.Place = func(line, column int) (int, int) {
				if line == 0 {
					return key.Line, key.Column
				}
				if column > 0 {
					column += indent
				}
				return content.Line + line, column
			}
		}
		text.Source = policy.Source{Namespace: namespace, Name: name, Where: fmt.Sprintf("%s:%d (%s)", t.file, root.Line, text.Object)}
		t.texts = append(t.texts, text)
	}
}

// indentation is by how many spaces the block that begins in a line is indented.
func indentation(content []byte, line int) int {
	lines := bytes.Split(content, []byte{'\n'})
	for ; line >= 1 && line <= len(lines); line++ {
		if trimmed := bytes.TrimLeft(lines[line-1], " "); len(bytes.TrimSpace(trimmed)) > 0 {
			return len(lines[line-1]) - len(trimmed)
		}
	}
	return 0
}

// shift moves a node, and what is in it, down.
func shift(n *yaml.Node, lines int) {
	n.Line += lines
	for _, child := range n.Content {
		shift(child, lines)
	}
}

// value returns what stands under a path of keys, nil where nothing does.
func value(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var next *yaml.Node
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					next = n.Content[i+1]
				}
			}
		}
		if next == nil {
			return nil
		}
		n = next
	}
	return n
}

// field returns the text under a path of keys, "" where there is none.
func field(n *yaml.Node, path ...string) string {
	if found := value(n, path...); found != nil && found.Kind == yaml.ScalarNode {
		return found.Value
	}
	return ""
}
