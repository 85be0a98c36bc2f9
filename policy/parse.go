package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxInput is how large an input may be, in bytes: as large as a ConfigMap.
const MaxInput = 1 << 20

// docReaders read the versions of the format, by apiVersion. A later version is
// one more entry whose reader returns the newest shape, so that version N reads
// what was written for N − 1.
var docReaders = map[string]func(d *docDecoder, root *yaml.Node) docPolicy{
	APIVersion: docReadV1alpha1,
}

// Parse reads the policy documents of one input: YAML, or JSON as a part of it,
// one or more documents. It returns the documents that are right by themselves,
// and every problem of all of them at once, in the order of the input. A
// document with an error is not among those returned; what cannot be read to its
// end as YAML holds none.
//
// Who keeps the last good documents of an input replaces them only when there is
// no error in it at all ([HasErrors]): a document that is missing from a bad edit
// was not taken back.
//
// Unknown and repeated fields are errors. Values are read strictly: nothing is
// guessed, and null is not a value.
func Parse(source Source, data []byte) ([]Document, []Problem) {
	input := Problem{Severity: SeverityError, Where: source.Where}
	if len(data) > MaxInput {
		input.Code, input.Value = CodeTooLarge, fmt.Sprintf("%d bytes", len(data))
		input.Rule = fmt.Sprintf("expected at most %d bytes", MaxInput)
		return nil, []Problem{input}
	}
	roots, err := docRoots(data)
	if err != nil {
		input.Code = CodeSyntax
		input.Line, input.Rule = docSyntax(err)
		return nil, []Problem{input}
	}
	if len(roots) == 0 {
		input.Code = CodeSyntax
		input.Rule = fmt.Sprintf("expected a policy document (apiVersion: %s, kind: %s), found nothing", APIVersion, Kind)
		return nil, []Problem{input}
	}
	var documents []Document
	var problems []Problem
	values := docMostValues
	for _, root := range roots {
		document, found := docParse(source, root, &values)
		problems = append(problems, found...)
		if !HasErrors(found) {
			documents = append(documents, document)
		}
	}
	docSort(problems)
	return documents, docShorten(problems)
}

// docMostProblems is how many problems of one input are told: more help nobody,
// and they end up in events and logs.
const docMostProblems = 1000

// docShorten leaves out what is past docMostProblems, and says how much.
func docShorten(problems []Problem) []Problem {
	if len(problems) <= docMostProblems {
		return problems
	}
	kept, rest := problems[:docMostProblems:docMostProblems], problems[docMostProblems:]
	last := Problem{
		Severity: SeverityWarning, Code: CodeTooLarge, Where: rest[0].Where, Line: rest[0].Line, Column: rest[0].Column,
		Rule: fmt.Sprintf("%d more problems from here on are not shown", len(rest)),
	}
	if HasErrors(rest) {
		last.Severity = SeverityError
	}
	return append(kept, last)
}

// docRoots returns the root of every YAML document that is not empty.
func docRoots(data []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var roots []*yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return nil, err
		}
		if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
			continue
		}
		root := document.Content[0]
		if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
			continue
		}
		roots = append(roots, root)
	}
}

var docYAMLError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// docSyntax says where and why an input is not YAML.
func docSyntax(err error) (line int, rule string) {
	text := err.Error()
	if found := docYAMLError.FindStringSubmatch(text); found != nil {
		line, _ = strconv.Atoi(found[1])
		text = strings.TrimPrefix(text, found[0])
	}
	if strings.HasPrefix(text, "unknown anchor") {
		// The parser shows the name, which is the rest of a value that begins
		// with "*": perhaps a password.
		text = "an alias (*name) without its anchor (&name); a text that begins with * needs quotes"
	}
	return line, "not YAML: " + text
}

// docParse reads one document.
func docParse(source Source, root *yaml.Node, values *int) (Document, []Problem) {
	d := &docDecoder{source: source, values: values, places: docPlaces{"": {line: root.Line, column: root.Column}}}
	read := d.version(root)
	if read == nil {
		return Document{}, d.problems
	}
	p := read(d, root)
	if d.spent {
		return Document{}, d.problems
	}
	d.metadata(p.Metadata)
	p.complete(d.source.Namespace)
	d.validate(&p)
	document := Document{Source: d.source, line: root.Line, column: root.Column, policy: p, places: d.places}
	return document, d.problems
}

// version finds the reader for a document by its apiVersion and kind. A document
// of another kind is not looked at further: nothing in it can be judged.
func (d *docDecoder) version(root *yaml.Node) func(*docDecoder, *yaml.Node) docPolicy {
	if root.Kind != yaml.MappingNode {
		d.problem(CodeSyntax, "", docFound(root, true), "expected a policy document (apiVersion: %s, kind: %s)", APIVersion, Kind)
		return nil
	}
	var apiVersion, kind *yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch key := root.Content[i]; {
		case key.Value == "apiVersion" && apiVersion == nil:
			apiVersion = docFollow(root.Content[i+1])
			d.places["apiVersion"] = docPlace{line: key.Line, column: key.Column}
		case key.Value == "kind" && kind == nil:
			kind = docFollow(root.Content[i+1])
			d.places["kind"] = docPlace{line: key.Line, column: key.Column}
		}
	}
	if apiVersion == nil {
		d.absent("", "apiVersion", "required: expected "+APIVersion)
	}
	if kind == nil {
		d.absent("", "kind", "required: expected "+Kind)
	}
	if apiVersion == nil || kind == nil {
		return nil
	}
	read := docReaders[apiVersion.Value]
	switch {
	case read != nil && kind.Value == Kind:
		return read
	case kind.Value == "ConfigMap" && apiVersion.Value == "v1":
		d.problem(CodeVersion, "kind", "a ConfigMap", "expected a policy document itself, not the object that carries it")
	case kind.Value != Kind:
		d.problem(CodeVersion, "kind", docFound(kind, false), "expected %s", Kind)
	}
	if read == nil && len(d.problems) == 0 {
		d.problem(CodeVersion, "apiVersion", docFound(apiVersion, false), "expected %s, the only version that this Headroom reads", APIVersion)
	}
	return nil
}

// docReadV1alpha1 reads the first version.
func docReadV1alpha1(d *docDecoder, root *yaml.Node) docPolicy {
	var p docPolicy
	d.value(root, "", docValue{form: docObject, shape: docPolicyShape}, "", reflect.ValueOf(&p).Elem())
	return p
}

// metadata agrees the document's own name and namespace with its source's.
func (d *docDecoder) metadata(m docMetadata) {
	agree := func(path, here string, there *string) {
		switch {
		case *there == "":
			*there = here
		case here != "" && here != *there:
			d.problem(CodeInconsistent, path, docQuote(here), "expected %q, as of the object that carries the document", *there)
		}
	}
	agree("metadata.namespace", m.Namespace, &d.source.Namespace)
	agree("metadata.name", m.Name, &d.source.Name)
	if d.source.Namespace == "" {
		d.source.Namespace = docDefaultNamespace
	}
}
