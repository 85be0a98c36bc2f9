package policytest

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/keda-headroom/headroom/policy"
)

// Fields are the names of all fields of a file.
func Fields() []string {
	var names []string
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if seen[t] || t.PkgPath() != reflect.TypeFor[fileDocument]().PkgPath() {
				return
			}
			seen[t] = true
			for i := range t.NumField() {
				if name := t.Field(i).Tag.Get("yaml"); name != "" {
					names = append(names, name)
				}
				walk(t.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[fileDocument]())
	return names
}

func FuzzParse(f *testing.F) {
	policyText, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range []string{"everything.yaml", "failing.yaml", "wrong_fields.yaml", "wrong_values.yaml"} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(path string) ([]byte, error) {
			if strings.HasSuffix(path, "policy.yaml") {
				return policyText, nil
			}
			return nil, errors.New("no such file")
		}
		file, problems := parse("tests.yaml", text, read)
		pods := 0
		for _, test := range file.tests {
			for _, s := range test.all() {
				if s.Given == nil {
					continue
				}
				for _, w := range s.Given.Workloads {
					pods += value(w.Replicas)
					for _, p := range value(w.Pods) {
						pods += p.Count
					}
				}
			}
		}
		if !policy.HasErrors(problems) && len(file.tests) < 3 && pods < 100 {
			file.Run(nil)
		}
	})
}
