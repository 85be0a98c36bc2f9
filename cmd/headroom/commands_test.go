package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keda-headroom/headroom/internal/golden"
)

// docs/commands.md is what the commands' help says, and nothing else.
func TestCommandsAreDocumented(t *testing.T) {
	t.Setenv("HEADROOM_SERVER", "")
	golden.Compare(t, "../../docs/commands.md", commandsDocument(newRootCommand()))
}

func commandsDocument(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# Commands

This is what ` + "`headroom COMMAND --help`" + ` says; a test keeps it so. Every command exits with 0, with 1 where it failed or found something, and with 2 where it was called wrongly.

| command | |
| --- | --- |
`)
	var commands []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			commands = append(commands, c)
			fmt.Fprintf(&b, "| [%s](#headroom-%s) | %s |\n", c.Name(), c.Name(), c.Short)
		}
	}
	for _, c := range commands {
		fmt.Fprintf(&b, "\n## headroom %s\n\n", c.Name())
		fmt.Fprintf(&b, "```text\nheadroom %s\n```\n\n", c.Use)
		if len(c.Aliases) > 0 {
			fmt.Fprintf(&b, "Also: `%s`.\n\n", strings.Join(c.Aliases, "`, `"))
		}
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		b.WriteString(blocks(text))
		if c.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", dedent(c.Example))
		}
		b.WriteString("\n| flag | default | |\n| --- | --- | --- |\n")
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name = "`-" + f.Shorthand + "`, " + name
			}
			value := ""
			if f.DefValue != "" && f.DefValue != "[]" {
				value = "`" + f.DefValue + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, value, strings.ReplaceAll(f.Usage, "|", `\|`))
		})
	}
	return b.String()
}

// blocks writes help as Markdown: what is indented is shown as it stands.
func blocks(text string) string {
	var b strings.Builder
	inside := false
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		indented := strings.HasPrefix(line, "  ")
		if indented != inside && line != "" {
			if b.String() != "" && !strings.HasSuffix(b.String(), "\n\n") {
				b.WriteByte('\n')
			}
			if indented {
				b.WriteString("```text\n")
			} else {
				b.WriteString("```\n\n")
			}
			inside = indented
		}
		if inside && line == "" {
			continue // the block ends here, or goes on below
		}
		b.WriteString(strings.TrimPrefix(line, "  ") + "\n")
	}
	if inside {
		b.WriteString("```\n")
	}
	return strings.ReplaceAll(b.String(), "\n\n```\n\n", "\n```\n\n")
}

func dedent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
