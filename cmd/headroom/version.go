package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/keda-headroom/headroom/internal/buildinfo"
)

func newVersionCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which build this is",
		Example: "  headroom version\n  headroom version -o json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			info := buildinfo.Get()
			var text []byte
			var err error
			switch output {
			case "table":
				text = []byte(info.String() + "\n")
			case "json":
				text, err = json.MarshalIndent(info, "", "  ")
				text = append(text, '\n')
			case "yaml":
				text, err = yaml.Marshal(info)
			default:
				return usageError{fmt.Errorf("--output: expected table, json or yaml, found %q", output)}
			}
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	return c
}
