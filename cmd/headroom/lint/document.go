package lint

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/policy"
)

// candidate is a text that is judged as policies, and where it stands.
type candidate struct {
	// source's Where is one for all that is placed alike.
	source policy.Source
	text   []byte
	file   string
	// object names what carries the text inside the file, "" for the file itself.
	object string
	// place turns a place in the text into one in the file; line 0 is unknown.
	place func(line, column int) (int, int)
}

// skipped is a document that is none of ours.
type skipped struct {
	File string `json:"file"`
	Line int    `json:"line"`
	What string `json:"what"` // apiVersion and kind
}

// marker is what begins and ends a document. YAML allows it nowhere else at the
// beginning of a line.
var marker = regexp.MustCompile(`(?m)^(---|\.\.\.)([ \t\r].*)?$`)

// contents is what a file holds.
type contents struct {
	policies  []candidate
	manifests []manifest
	others    []skipped
}

// documents takes a file apart into what is judged and what is skipped.
func documents(in input) contents {
	var c contents
	start := 0
	cut := func(end int) {
		text := in.content[start:end]
		line := bytes.Count(in.content[:start], []byte{'\n'})
		c.document(in, text, line)
		start = end
	}
	for _, at := range marker.FindAllIndex(in.content, -1) {
		cut(at[0])
		if bytes.HasPrefix(in.content[at[0]:], []byte("...")) {
			start = at[1] // an end belongs to no document
		}
	}
	cut(len(in.content))
	return c
}

// document sees what one YAML document is. Before it are this many lines.
func (c *contents) document(in input, text []byte, before int) {
	// The lines before are kept as empty ones, so that places are those of the file.
	whole := candidate{
		source: policy.Source{Where: in.name}, file: in.name,
		text: append(bytes.Repeat([]byte{'\n'}, before), text...), place: func(line, column int) (int, int) { return line, column },
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		c.policies = append(c.policies, whole) // policy.Parse says what is wrong, and where
		return
	}
	if len(node.Content) == 0 {
		return // only comments
	}
	shift(&node, before)
	c.object(in, node.Content[0], whole)
}

// object sees what one object is: a policy, a ConfigMap of policies, something
// that scales or is scaled, a list, or none of ours.
func (c *contents) object(in input, root *yaml.Node, whole candidate) {
	apiVersion, kind := text(root, "apiVersion"), text(root, "kind")
	group, _, _ := strings.Cut(policy.APIVersion, "/")
	switch {
	case strings.HasPrefix(apiVersion, group+"/"),
		apiVersion == "" && kind == policy.Kind,
		apiVersion == "" && kind == "" && (value(root, "databases") != nil || value(root, "workloads") != nil):
		if text(root, "metadata", "namespace") == "" {
			whole.source.Namespace = in.namespace
		}
		c.policies = append(c.policies, whole)
	case apiVersion == "v1" && kind == "ConfigMap" && text(root, "metadata", "labels", inventory.PolicyLabel) == "true":
		c.policies = append(c.policies, configMap(in, root)...)
	case apiVersion == "v1" && strings.HasSuffix(kind, "List"):
		if items := value(root, "items"); items != nil && items.Kind == yaml.SequenceNode {
			for _, item := range items.Content {
				c.listed(in, item)
			}
		}
	case judged(apiVersion, kind):
		c.manifests = append(c.manifests, manifest{in.name, in.namespace, apiVersion, kind, root})
	default:
		what := strings.TrimSpace(apiVersion + " " + kind)
		if what == "" {
			what = "no apiVersion and no kind"
		}
		c.others = append(c.others, skipped{File: in.name, Line: root.Line, What: what})
	}
}

// listed sees what an object inside a list is. A policy in there is written anew,
// so that only its first line is known.
func (c *contents) listed(in input, item *yaml.Node) {
	text, err := yaml.Marshal(item)
	if err != nil {
		c.others = append(c.others, skipped{File: in.name, Line: item.Line, What: "something that can't be written as YAML"})
		return
	}
	c.object(in, item, candidate{
		source: policy.Source{Where: fmt.Sprintf("%s:%d (in a list)", in.name, item.Line)}, file: in.name, text: text,
		place: func(int, int) (int, int) { return item.Line, item.Column },
	})
}

// configMap returns the policies in a ConfigMap: each of its values.
func configMap(in input, root *yaml.Node) []candidate {
	data := value(root, "data")
	if data == nil || data.Kind != yaml.MappingNode {
		return nil
	}
	name, namespace := text(root, "metadata", "name"), text(root, "metadata", "namespace")
	if namespace == "" {
		namespace = in.namespace
	}
	var found []candidate
	for i := 0; i+1 < len(data.Content); i += 2 {
		key, content := data.Content[i], data.Content[i+1]
		c := candidate{
			file: in.name, text: []byte(content.Value), object: fmt.Sprintf("ConfigMap %s, key %s", strings.TrimPrefix(namespace+"/"+name, "/"), key.Value),
			place: func(int, int) (int, int) { return key.Line, key.Column },
		}
		if content.Style&yaml.LiteralStyle != 0 {
			// The text begins in the line below the "|", indented.
			indent := indentation(in.content, content.Line+1)
			c.place = func(line, column int) (int, int) {
				if line == 0 {
					return key.Line, key.Column
				}
				if column > 0 {
					column += indent
				}
				return content.Line + line, column
			}
		}
		c.source = policy.Source{Namespace: namespace, Name: name, Where: fmt.Sprintf("%s:%d (%s)", in.name, root.Line, c.object)}
		found = append(found, c)
	}
	return found
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

// text returns the text under a path of keys, "" where there is none.
func text(n *yaml.Node, path ...string) string {
	if found := value(n, path...); found != nil && found.Kind == yaml.ScalarNode {
		return found.Value
	}
	return ""
}
