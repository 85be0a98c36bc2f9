// Package output writes what a command found, for the person or the tool that asked:
// the formats that -o table, json and yaml stand for.
package output

import (
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// Check says what is wrong with the format of --output; nil where nothing is.
func Check(format string) error {
	switch format {
	case "table", "json", "yaml":
		return nil
	}
	return fmt.Errorf("--output: expected table, json or yaml, found %q", format)
}

// Write writes found as JSON or YAML, or else the table, which is made only then.
func Write(out io.Writer, format string, found any, table func() string) error {
	var text []byte
	var err error
	switch format {
	case "json":
		text, err = json.MarshalIndent(found, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(found)
	default:
		text = []byte(table())
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
