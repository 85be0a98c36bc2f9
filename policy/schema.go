package policy

import (
	"bytes"
	_ "embed"
)

//go:embed schema.json
var docSchema []byte

// Schema returns the JSON Schema (draft 2020-12) of a policy document, for
// editors and for checks before Headroom's own. It knows the shape of documents
// and the bounds of values, but not the bounds of durations, nor how values must
// agree with each other: what [Parse] accepts obeys the schema, and not always
// the other way round.
//
// It is derived from the types of document.go:
//
//	go test ./policy -run TestSchema -update
func Schema() []byte { return bytes.Clone(docSchema) }
