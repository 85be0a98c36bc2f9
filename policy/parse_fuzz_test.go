package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzParse: no input makes Parse panic; what it accepts obeys the schema,
// resolves, and reads the same twice; what it does not accept says why.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/documents/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	schema := validator(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, problems := Parse(Source{Where: "fuzz"}, data)
		if len(documents) == 0 && !HasErrors(problems) {
			t.Fatal("nothing is in force, and nothing says why")
		}
		for _, p := range problems {
			if p.Rule == "" || p.Code == "" || p.Severity == "" {
				t.Fatalf("an empty problem: %+v", p)
			}
			_ = p.String()
		}
		again, problemsAgain := Parse(Source{Where: "fuzz"}, data)
		if !reflect.DeepEqual(documents, again) || !reflect.DeepEqual(problems, problemsAgain) {
			t.Fatal("reads otherwise the second time")
		}
		if !HasErrors(problems) {
			if err := validate(t, schema, data); err != nil {
				t.Fatalf("accepted, and the schema refuses it: %v", err)
			}
		}
		if len(documents) == 1 {
			set, between := Resolve(documents)
			if HasErrors(between) {
				t.Fatalf("accepted, and in conflict with itself: %v", between)
			}
			p := documents[0].policy
			if len(set.Databases) != len(p.Databases) || len(set.Workloads) != len(p.Workloads) {
				t.Fatal("accepted, and not in force")
			}
		}
		set, _ := Resolve(documents)
		set.Groups(nil)
	})
}
