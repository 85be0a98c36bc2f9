package policyfiles

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/internal/inventory"
	"github.com/keda-headroom/headroom/policy"
)

// part is one of the documents of a file.
type part struct {
	text []byte
	// object is what of it a policy can be in. A policy, and what can't be read, is
	// taken for none.
	object *corev1.ConfigMap
}

// parse returns the policies in one file. What is no policy is passed over.
func parse(file string, content []byte) (documents []policy.Document, problems []policy.Problem, err error) {
	parts, err := take(content)
	if err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(parts, func(p part) bool { return p.object != nil }) {
		documents, problems = policy.Parse(policy.Source{Where: file}, content)
		return documents, problems, nil
	}
	for _, p := range parts {
		if p.object == nil {
			found, wrong := policy.Parse(policy.Source{Where: file}, p.text)
			for i := range wrong {
				wrong[i].Line, wrong[i].Column = 0, 0 // they count from where the document begins
			}
			documents, problems = append(documents, found...), append(problems, wrong...)
			continue
		}
		if o := p.object; o.Kind == "ConfigMap" && o.APIVersion == "v1" && o.Labels[inventory.PolicyLabel] == "true" {
			for _, key := range slices.Sorted(maps.Keys(o.Data)) {
				where := fmt.Sprintf("%s, ConfigMap %s, key %s", file, o.Name, key)
				found, wrong := policy.Parse(policy.Source{Namespace: o.Namespace, Name: o.Name, Where: where}, []byte(o.Data[key]))
				documents, problems = append(documents, found...), append(problems, wrong...)
			}
		}
	}
	return documents, problems, nil
}

// take takes a file apart.
func take(content []byte) ([]part, error) {
	var parts []part
	for reader := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content))); ; {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		p := part{text: text}
		var object corev1.ConfigMap // or the head of another one
		if err := yaml.Unmarshal(text, &object); err == nil && object.APIVersion != "" && !strings.HasPrefix(object.APIVersion, "keda-headroom.github.io/") {
			p.object = &object
		}
		parts = append(parts, p)
	}
}
