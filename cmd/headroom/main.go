// Command headroom scales queue workers as fast as their queues need, and never
// past what their databases can connect.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs one command and returns its exit status: 0, 1 where it failed or found
// something, 2 where it was called wrongly.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "%s: %v\nRun '%s --help' for usage.\n", command.CommandPath(), err, command.CommandPath())
		return 2
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(stderr, "%s: %s\n", command.CommandPath(), text)
	}
	return 1
}

// usageError is a call that can't be right, whatever the world is like.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "headroom",
		Short: "Scale queue workers as fast as needed, within what their databases can connect",
		Long: `Headroom is a KEDA external scaler for queue workers that share a relational
database. It scales workers out as fast as the queue needs, and never past what
the database can connect.`,
		SilenceErrors: true, // run prints them, and chooses the exit status
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServeCommand(),
		newLintCommand(),
		newTestCommand(),
		newSimulateCommand(),
		newReplayCommand(),
		newWhyCommand(),
		newStatusCommand(),
		newAuditCommand(),
		newCheckCommand(),
		newStopCommand(),
		newResumeCommand(),
		newReleaseCommand(),
		newSupportBundleCommand(),
		newVersionCommand(),
	)
	return root
}

// noArguments refuses arguments, which here are mostly misspelled commands.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasAvailableSubCommands() {
		return usageError{fmt.Errorf("there is no command %q", args[0])}
	}
	return usageError{fmt.Errorf("expected no arguments, found %q", args[0])}
}
