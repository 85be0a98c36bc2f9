package policy

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keda-headroom/headroom/internal/intorpercent"
)

const referencePath = "../docs/policy.md"

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// resolveText returns the set of a text in which nothing is wrong.
func resolveText(t *testing.T, source Source, text string) Set {
	t.Helper()
	documents, problems := Parse(source, []byte(text))
	for _, p := range problems {
		t.Errorf("parse: %s", p)
	}
	set, problems := Resolve(documents)
	for _, p := range problems {
		t.Errorf("resolve: %s", p)
	}
	return set
}

func compareSets(t *testing.T, want, got Set) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(intorpercent.Value{})); diff != "" {
		t.Errorf("- wanted, + found:\n%s", diff)
	}
}

// TestReferenceExamples reads every YAML block of the reference, and holds its
// documented defaults against the real ones.
func TestReferenceExamples(t *testing.T) {
	text, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	schema := validator(t)
	blocks := yamlBlock.FindAllSubmatch(text, -1)
	if len(blocks) != 5 {
		t.Fatalf("found %d YAML blocks, expected the smallest, the same with defaults, two owners, what KEDA doesn't scale, and an objective", len(blocks))
	}
	var sets []Set
	for _, block := range blocks {
		sets = append(sets, resolveText(t, Source{Where: "policy.md"}, string(block[1])))
		if err := validate(t, schema, block[1]); err != nil {
			t.Errorf("the schema refuses\n%s\n%v", block[1], err)
		}
	}
	compareSets(t, sets[0], sets[1])
	checkWrittenOut(t, string(blocks[1][1]))
}

// checkWrittenOut expects every field that has a default to stand in text.
func checkWrittenOut(t *testing.T, text string) {
	t.Helper()
	documents, _ := Parse(Source{}, []byte(text))
	generic := regexp.MustCompile(`\[\d+\]`)
	given := map[string]bool{}
	for path := range documents[0].places {
		given[generic.ReplaceAllString(path, "[]")] = true
	}
	eachField(docPolicyShape, "", func(path string, _ *docShape, f docField, value reflect.Value) {
		if text := defaultText(path, f, value); text != "" && path != "metadata.name" && !given[path] {
			t.Errorf("%s has a default (%s) and is not written out", path, text)
		}
	})
}

func TestReferenceHasEveryField(t *testing.T) {
	comments := fieldComments(t)
	var table bytes.Buffer
	table.WriteString("| field | value | default | meaning |\n| --- | --- | --- | --- |\n")
	eachField(docPolicyShape, "", func(path string, in *docShape, f docField, value reflect.Value) {
		fallback := defaultText(path, f, value)
		switch choices := choice(in, f); {
		case f.required, len(choices) == 1:
			fallback = "*required*"
		case len(choices) > 1:
			fallback = "*one of* " + strings.Join(choices, ", ")
		case fallback == "":
			fallback = "–"
		}
		meaning := comments[in.kind.Name()+"."+f.key]
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", path, strings.ReplaceAll(valueText(f.docValue), "|", `\|`), fallback, meaning)
	})
	text, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(text, []byte("<!-- fields:"))
	end := bytes.Index(text, []byte("<!-- end of fields -->"))
	if begin < 0 || end < begin {
		t.Fatal("the marks around the fields are gone")
	}
	begin += bytes.IndexByte(text[begin:], '\n') + 1
	golden(t, referencePath, bytes.Join([][]byte{text[:begin], table.Bytes(), text[end:]}, nil))
}

// eachField calls do with every field of a document and the value that it begins
// with.
func eachField(shape *docShape, path string, do func(path string, in *docShape, f docField, value reflect.Value)) {
	defaults := reflect.New(shape.kind).Elem()
	docInit(defaults)
	for _, f := range shape.fields {
		at := docJoin(path, f.key)
		do(at, shape, f, defaults.Field(f.index))
		switch {
		case f.form == docObject:
			eachField(f.shape, at, do)
		case f.form == docList && f.item.form == docObject:
			eachField(f.item.shape, at+"[]", do)
		}
	}
}

// choice returns the fields of the choice that f is one of.
func choice(in *docShape, f docField) []string {
	for _, keys := range in.choices() {
		for _, key := range keys {
			if key == f.key {
				return keys
			}
		}
	}
	return nil
}

// defaultText names the default of a field, "" where it has none.
func defaultText(path string, f docField, value reflect.Value) string {
	if text, ok := docComputed[path]; ok {
		return text
	}
	if fallback, ok := staticDefault(f, value); ok {
		return fmt.Sprint(fallback)
	}
	if f.form == docList && !f.required && f.item.form == docWord {
		return "none"
	}
	return ""
}

func valueText(v docValue) string {
	switch v.form {
	case docObject:
		return "object"
	case docList:
		if v.item.form == docObject {
			return fmt.Sprintf("list of %d to %d objects", v.least, v.most)
		}
		return fmt.Sprintf("list of %d to %d, each %s", v.least, v.most, v.item.text.expected)
	case docWhole:
		return fmt.Sprintf("number, %d to %d", v.least, v.most)
	case docNumber:
		return fmt.Sprintf("number, whole or not, %v to %v", float64(v.least)/docThousand, float64(v.most)/docThousand)
	case docShare:
		return fmt.Sprintf("number, %d to %d, or percentage, 0%% to %d%%", v.least, v.most, v.percent)
	case docMap:
		return fmt.Sprintf("%d to %d members: %s; each with %s", v.least, v.most, v.names.expected, v.text.expected)
	case docDuration:
		return fmt.Sprintf("duration, %s to %s", docShowDuration(v.least), docShowDuration(v.most))
	}
	return v.expected()
}
