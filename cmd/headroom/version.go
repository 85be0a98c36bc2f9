package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/internal/buildinfo"
	"github.com/keda-headroom/headroom/internal/output"
)

func newVersionCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which build this is",
		Example: "  headroom version\n  headroom version -o json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := output.Check(format); err != nil {
				return usageError{err}
			}
			info := buildinfo.Get()
			return output.Write(c.OutOrStdout(), format, info, func() string { return info.String() + "\n" })
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "table", "table, json or yaml")
	return c
}
