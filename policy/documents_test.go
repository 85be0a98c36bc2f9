package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocuments holds what is said about every document in testdata/documents
// to the golden file beside it. Documents called working_* are in force, those
// called busted_* contribute nothing, or are the ones that lose a conflict.
func TestDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/documents/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d documents, %v", len(files), err)
	}
	schema := validator(t)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			documents, problems := Parse(Source{Where: name}, data)
			rejected := HasErrors(problems)
			_, between := Resolve(documents)
			problems = append(problems, between...)

			if got, want := HasErrors(problems), strings.HasPrefix(name, "busted_"); got != want {
				t.Errorf("has errors: %v", got)
			}
			var said bytes.Buffer
			for _, p := range problems {
				said.WriteString(p.String() + "\n")
				if strings.Contains(p.String(), "hunter2") {
					t.Errorf("shows a secret: %s", p)
				}
				if p.Line == 0 && p.Code != CodeSyntax {
					t.Errorf("does not say where: %s", p)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", said.Bytes())

			// The schema knows structure; it must never refuse what is in force.
			err = validate(t, schema, data)
			if bytes.Contains(data, []byte("# schema: rejects")) != (err != nil) {
				t.Errorf("judged by the schema: %v", err)
			}
			if err != nil && !rejected {
				t.Error("the schema refuses what Parse accepts")
			}
		})
	}
}
