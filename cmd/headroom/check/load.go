package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/policy"
)

// load returns the policies in files, and what is wrong with any of them.
func load(paths []string) (policy.Set, []policy.Problem, error) {
	var documents []policy.Document
	var problems []policy.Problem
	for _, path := range paths {
		files, err := below(path)
		if err != nil {
			return policy.Set{}, nil, err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return policy.Set{}, nil, err
			}
			found, wrong, err := parse(file, content)
			if err != nil {
				return policy.Set{}, nil, fmt.Errorf("%s: %w", file, err)
			}
			documents, problems = append(documents, found...), append(problems, wrong...)
		}
	}
	set, wrong := policy.Resolve(documents)
	for _, p := range wrong {
		if p.Severity == policy.SeverityError {
			problems = append(problems, p) // a database that stands elsewhere is no matter here
		}
	}
	return set, problems, nil
}

// below returns the file, or the YAML and JSON files in a directory.
func below(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(file))) {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

// parse returns the policies in one file. What is no policy is passed over.
func parse(file string, content []byte) (documents []policy.Document, problems []policy.Problem, err error) {
	take := func(source policy.Source, text []byte) {
		found, wrong := policy.Parse(source, text)
		documents = append(documents, found...)
		for _, p := range wrong {
			if p.Severity == policy.SeverityError {
				p.Line, p.Column = 0, 0 // they count from where the document begins
				problems = append(problems, p)
			}
		}
	}
	reader := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, problems, nil
		}
		if err != nil {
			return nil, nil, err
		}
		var object corev1.ConfigMap // or the head of another one
		if err := yaml.Unmarshal(text, &object); err != nil || isPolicy(object.APIVersion) {
			take(policy.Source{Where: file}, text) // which says what is wrong, and where
			continue
		}
		if object.Kind != "ConfigMap" || object.APIVersion != "v1" || object.Labels["keda-headroom.github.io/policy"] != "true" {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(object.Data)) {
			where := fmt.Sprintf("%s, ConfigMap %s, key %s", file, object.Name, key)
			take(policy.Source{Namespace: object.Namespace, Name: object.Name, Where: where}, []byte(object.Data[key]))
		}
	}
}

func isPolicy(apiVersion string) bool {
	return strings.HasPrefix(apiVersion, "keda-headroom.github.io/")
}
