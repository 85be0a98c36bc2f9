package main

import (
	"github.com/spf13/cobra"

	"github.com/keda-headroom/headroom/cmd/headroom/supportbundle"
	"github.com/keda-headroom/headroom/internal/serverclient"
)

func newSupportBundleCommand() *cobra.Command {
	options := supportbundle.Options{Client: serverclient.New()}
	c := &cobra.Command{
		Use:   "support-bundle",
		Short: "Put what happened into one archive for others, with every name replaced",
		Long: `Support-bundle asks a running server for its plans, its metrics and its recording of
the last hour, and puts them into one archive (.tar.gz) that can be given to others:
every name is replaced by a word, namespaces, workloads, databases, users, queues,
pods and addresses, and the words of errors. One name is the same word everywhere in
the archive. "headroom replay" makes the recorded decisions again from it.

There are no passwords and no data source names in what Headroom shows of itself. Its log
is not in the archive: it has names. What can't be had is missing, and said.

It asks a running server, by the URL of its HTTP port or through a cluster's API
server (with permission to get services/proxy). With --recording it asks nobody and
takes the recording in a directory.`,
		Example: `  headroom support-bundle --context production

  # What happened yesterday afternoon
  headroom support-bundle --context production \
    --from 2026-03-01T14:00:00Z --to 2026-03-01T15:00:00Z`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := options.Client.Choose(c.Flags()); err != nil {
				return usageError{err}
			}
			options.Out = c.OutOrStdout()
			if err := options.Validate(); err != nil {
				return usageError{err}
			}
			return supportbundle.Run(c.Context(), options)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&options.File, "file", "f", "", "archive to write, which must not be there yet; headroom-support-TIME.tar.gz if left out")
	flags.StringVar(&options.From, "from", "", "when to begin, RFC 3339; an hour before --to if left out, or the beginning of --recording")
	flags.StringVar(&options.To, "to", "", "when to end, RFC 3339; now if left out")
	flags.BoolVar(&options.KeepNames, "keep-names", false, "leave names as they are")
	flags.StringVar(&options.Recording, "recording", "", "directory of a recording to take, in place of a server's")
	options.Client.Add(flags)
	return c
}
