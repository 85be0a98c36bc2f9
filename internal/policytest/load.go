package policytest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keda-headroom/headroom/policy"
)

// Load reads a file of tests and the policies that it names. Where there is a
// problem of severity error the file can't be run; all of them are told.
func Load(path string) (File, []policy.Problem) {
	data, err := readFile(path)
	if err != nil {
		return File{}, []policy.Problem{problem(path, 0, "", "expected a file of tests that can be read", err.Error())}
	}
	return parse(path, data, readFile)
}

// parse reads a file of tests; read gets the policies that it names.
func parse(path string, data []byte, read func(string) ([]byte, error)) (File, []policy.Problem) {
	var root yaml.Node
	var d fileDocument
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	err := decoder.Decode(&d)
	var types *yaml.TypeError
	switch {
	case errors.Is(err, io.EOF):
		return File{}, []policy.Problem{problem(path, 0, "", "expected tests (apiVersion: "+policy.APIVersion+", kind: "+Kind+"), found nothing", "")}
	case errors.As(err, &types):
		return File{}, typeProblems(path, types)
	case err != nil:
		return File{}, []policy.Problem{syntaxProblem(path, err)}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return File{}, []policy.Problem{problem(path, 0, "", "expected one document, found more", "")}
	}
	if err := yaml.Unmarshal(data, &root); err != nil {
		return File{}, []policy.Problem{syntaxProblem(path, err)}
	}
	c := checker{path: path, root: &root}
	set := c.policies(d, read)
	c.check(d, set)
	slices.SortStableFunc(c.problems, func(a, b policy.Problem) int {
		return cmp.Or(strings.Compare(a.Where, b.Where), cmp.Compare(a.Line, b.Line), strings.Compare(a.Field, b.Field))
	})
	return File{Path: path, set: set, tests: d.Tests}, c.problems
}

func problem(where string, line int, field, rule, value string) policy.Problem {
	return policy.Problem{Severity: policy.SeverityError, Code: policy.CodeValue, Where: where, Line: line, Field: field, Rule: rule, Value: value}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, policy.MaxInput+1))
	if err == nil && len(data) > policy.MaxInput {
		err = fmt.Errorf("expected at most %d bytes, found more", policy.MaxInput)
	}
	return data, err
}

// policies reads the policies that the file names and puts them together.
func (c *checker) policies(d fileDocument, read func(string) ([]byte, error)) policy.Set {
	var documents []policy.Document
	for i, name := range d.Policies {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(c.path), name)
		}
		data, err := read(path)
		if err != nil {
			c.add([]any{"policies", i}, "expected a file of policies that can be read", err.Error())
			continue
		}
		found, problems := policy.Parse(policy.Source{Where: path}, data)
		documents = append(documents, found...)
		c.problems = append(c.problems, problems...)
	}
	set, problems := policy.Resolve(documents)
	c.problems = append(c.problems, problems...)
	return set
}

var (
	typeLine     = regexp.MustCompile(`^line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (.+) not found in type .*$`)
	otherType    = regexp.MustCompile("^cannot unmarshal (!!\\w+)(?: `(.*)`)? into (.*)$")
	repeatedKey  = regexp.MustCompile(`^mapping key (".*") already defined at line (\d+)$`)
)

// typeProblems says in our words what the decoder found wrong, all of it.
func typeProblems(path string, err *yaml.TypeError) []policy.Problem {
	var problems []policy.Problem
	for _, text := range err.Errors {
		line := 0
		if parts := typeLine.FindStringSubmatch(text); parts != nil {
			line, _ = strconv.Atoi(parts[1]) // only digits match
			text = parts[2]
		}
		p := problem(path, line, "", text, "")
		if parts := unknownField.FindStringSubmatch(text); parts != nil {
			p.Code, p.Field, p.Rule = policy.CodeUnknownField, parts[1], "unknown field"
		} else if parts := otherType.FindStringSubmatch(text); parts != nil {
			p.Rule, p.Value = "expected "+typeInWords(parts[3]), valueInWords(parts[1], parts[2])
		} else if parts := repeatedKey.FindStringSubmatch(text); parts != nil {
			p.Code, p.Rule = policy.CodeDuplicate, fmt.Sprintf("%s stands in line %s already", parts[1], parts[2])
		}
		problems = append(problems, p)
	}
	return problems
}

func syntaxProblem(path string, err error) policy.Problem {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if parts := typeLine.FindStringSubmatch(text); parts != nil {
		line, _ = strconv.Atoi(parts[1]) // only digits match
		text = parts[2]
	}
	p := problem(path, line, "", "expected YAML: "+text, "")
	p.Code = policy.CodeSyntax
	return p
}

func typeInWords(goType string) string {
	switch {
	case goType == "int", goType == "int64":
		return "a whole number"
	case goType == "float64":
		return "a number"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "a text"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	}
	return "an object"
}

func valueInWords(tag, value string) string {
	switch tag {
	case "!!map":
		return "an object"
	case "!!seq":
		return "a list"
	}
	return strconv.Quote(value)
}
