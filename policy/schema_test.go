package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func TestSchemaIsThatOfTheTypes(t *testing.T) {
	want := generateSchema(t)
	golden(t, "schema.json", want)
	golden(t, filepath.Join("..", "docs", "policy.schema.json"), want)
	if !*update && !bytes.Equal(Schema(), want) {
		t.Error("Schema() is not the generated one")
	}
}

// TestSchemaHoldsEveryField reads the schema as a stranger would, not by the
// generator's means, and holds it against the fields of the types.
func TestSchemaHoldsEveryField(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, in reflect.Type, schema map[string]any)
	walk = func(path string, in reflect.Type, schema map[string]any) {
		if in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		if in.Kind() == reflect.Slice {
			items, ok := schema["items"].(map[string]any)
			if !ok {
				t.Errorf("%s: a list in the types, and not in the schema", path)
				return
			}
			walk(path+"[]", in.Elem(), items)
			return
		}
		if in.Kind() != reflect.Struct || reflect.PointerTo(in).Implements(reflect.TypeFor[json.Marshaler]()) {
			return
		}
		if schema["additionalProperties"] != false {
			t.Errorf("%s: the schema admits unknown fields", path)
		}
		properties, _ := schema["properties"].(map[string]any)
		if len(properties) != in.NumField() {
			t.Errorf("%s: %d fields in the types, %d in the schema", path, in.NumField(), len(properties))
		}
		required := fmt.Sprint(schema["required"])
		for i := range in.NumField() {
			tag := strings.Split(in.Field(i).Tag.Get("field"), ",")
			property, ok := properties[tag[0]].(map[string]any)
			if !ok {
				t.Errorf("%s.%s: in the types, and not in the schema", path, tag[0])
				continue
			}
			if text, _ := property["description"].(string); len(text) < 10 {
				t.Errorf("%s.%s: no description", path, tag[0])
			}
			mustGive := strings.Contains(in.Field(i).Tag.Get("field"), ",required")
			if got := regexp.MustCompile(`\b` + tag[0] + `\b`).MatchString(required); got != mustGive {
				t.Errorf("%s.%s: required %v in the types, %v in the schema", path, tag[0], mustGive, got)
			}
			walk(path+"."+tag[0], in.Field(i).Type, property)
		}
	}
	walk("", reflect.TypeFor[docPolicy](), schema)

	mode := schema["properties"].(map[string]any)["workloads"].(map[string]any)["items"].(map[string]any)["properties"].(map[string]any)["mode"].(map[string]any)
	if got := fmt.Sprintf("%v %v", mode["enum"], mode["default"]); got != "[Observe Target Gate] Observe" {
		t.Errorf("mode: %s", got)
	}
}

// validator is an independent judge of documents by the schema.
func validator(t testing.TB) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("policy.schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// validate judges every YAML document of data by the schema.
func validate(t testing.TB, schema *jsonschema.Schema, data []byte) error {
	t.Helper()
	roots, err := docRoots(data)
	if err != nil {
		return err
	}
	for _, root := range roots {
		instance, err := plain(root)
		if err != nil {
			return err
		}
		if err := schema.Validate(instance); err != nil {
			return err
		}
	}
	return nil
}

// plain turns YAML into what encoding/json would have made of the same JSON.
func plain(n *yaml.Node) (any, error) {
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// object is a JSON object that keeps its order.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:", m.key)
		text, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		out.Write(text)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// marshal is json.Marshal without the escapes that are for HTML.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(out.Bytes()), err
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	comments := fieldComments(t)
	root := append(object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:keda-headroom:policy:v1alpha1"},
		{"title", "Headroom policy"},
		{"description", "Which databases queue workers share, which workers use them, and how far they may scale (" + APIVersion + ")."},
	}, objectSchema(docPolicyShape, comments)...)
	root = append(root, member{"anyOf", []object{
		{{"required", []string{"databases"}}},
		{{"required", []string{"workloads"}}},
	}})
	compact, err := marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func objectSchema(shape *docShape, comments map[string]string) object {
	defaults := reflect.New(shape.kind).Elem()
	docInit(defaults)
	var properties object
	var required []string
	for _, f := range shape.fields {
		schema := object{{"description", strings.ReplaceAll(comments[shape.kind.Name()+"."+f.key], "`", "")}}
		schema = append(schema, valueSchema(f.docValue, comments)...)
		if value, ok := staticDefault(f, defaults.Field(f.index)); ok {
			schema = append(schema, member{"default", value})
		}
		properties = append(properties, member{f.key, schema})
		if f.required {
			required = append(required, f.key)
		}
	}
	out := object{{"type", "object"}, {"additionalProperties", false}}
	if required != nil {
		out = append(out, member{"required", required})
	}
	out = append(out, member{"properties", properties})
	var all []object
	for _, keys := range shape.choices() {
		var one []object
		for _, key := range keys {
			one = append(one, object{{"required", []string{key}}})
		}
		all = append(all, object{{"oneOf", one}})
	}
	if all != nil {
		out = append(out, member{"allOf", all})
	}
	return out
}

func valueSchema(v docValue, comments map[string]string) object {
	switch v.form {
	case docObject:
		return objectSchema(v.shape, comments)
	case docList:
		out := object{{"type", "array"}, {"minItems", v.least}, {"maxItems", v.most}}
		if v.item.form == docWord {
			out = append(out, member{"uniqueItems", true})
		}
		return append(out, member{"items", valueSchema(*v.item, comments)})
	case docMap:
		return object{
			{"type", "object"}, {"minProperties", v.least}, {"maxProperties", v.most},
			{"propertyNames", textSchema(v.names)}, {"additionalProperties", textSchema(v.text)},
		}
	case docWhole:
		return object{{"type", "integer"}, {"minimum", v.least}, {"maximum", v.most}}
	case docNumber:
		return object{{"type", "number"}, {"minimum", float64(v.least) / docThousand}, {"maximum", float64(v.most) / docThousand}}
	case docShare:
		return object{{"oneOf", []object{
			{{"type", "integer"}, {"minimum", v.least}, {"maximum", v.most}},
			{{"type", "string"}, {"pattern", percentPattern(v.percent)}},
		}}}
	case docDuration:
		return object{{"type", "string"}, {"pattern", docDurationPattern.String()}}
	case docFlag:
		return object{{"type", "boolean"}}
	}
	return textSchema(v.text)
}

func textSchema(text *docText) object {
	out := object{{"type", "string"}}
	if text.enum != nil {
		out = append(out, member{"enum", text.enum})
	}
	if text.pattern != nil {
		out = append(out, member{"pattern", text.pattern.String()})
	}
	if text.most != 0 {
		out = append(out, member{"maxLength", text.most})
	}
	return out
}

// percentPattern matches 0% to most%, for a most that is a multiple of ten.
func percentPattern(most int64) string {
	return fmt.Sprintf(`^([0-9]|[1-%d][0-9]|%d)%%$`, most/10-1, most)
}

// staticDefault returns the default of an optional field as JSON has it, where
// it does not depend on anything else.
func staticDefault(f docField, value reflect.Value) (any, bool) {
	if f.required || f.choice != "" || value.Kind() == reflect.Pointer {
		return nil, false
	}
	switch f.form {
	case docDuration:
		return docShowDuration(value.Int()), value.Int() != 0 || f.least == 0
	case docShare, docWhole, docFlag:
		return value.Interface(), true
	case docWord:
		return value.String(), value.String() != ""
	}
	return nil, false
}

// fieldComments returns the comment above every field of document.go, by type
// and key ("docSQS.queueURL").
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "document.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if fields, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range fields.Fields.List {
				if f.Tag == nil {
					continue
				}
				key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("field"), ",")
				comments[spec.Name.Name+"."+key] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return true
	})
	return comments
}
