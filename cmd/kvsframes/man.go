package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manPage returns the man page of a command, in the macros of man(7); that of the program has all commands. cobra's own generator makes
// a page for each command and none of all of them.
func manPage(cmd *cobra.Command) string {
	var m manual
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&m, ".TH %s 1 \"\" %s \"User Commands\"\n", roffWord(strings.ToUpper(name)), roffWord("kvsframes "+programVersion()))
	m.section("NAME")
	m.text(name + " - " + strings.ToLower(cmd.Short[:1]) + cmd.Short[1:])
	m.section("SYNOPSIS")
	m.bold(useLine(cmd))
	m.section("DESCRIPTION")
	m.text(longOf(cmd))
	m.flags(cmd, ".SH OPTIONS\n")
	if cmd.HasAvailableSubCommands() {
		m.section("COMMANDS")
		m.commands(cmd)
	}
	if cmd.HasParent() {
		m.section("SEE ALSO")
		m.bold(cmd.Root().Name() + "(1)")
	}
	return m.String()
}

// useLine returns how a command is called.
func useLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

// longOf returns the description of a command.
func longOf(cmd *cobra.Command) string {
	if cmd.Long == "" {
		return cmd.Short + "."
	}
	return cmd.Long
}

// manual is a man page under construction.
type manual struct{ strings.Builder }

func (m *manual) section(title string) { fmt.Fprintf(m, ".SH %s\n", roffWord(title)) }

func (m *manual) bold(text string) { fmt.Fprintf(m, ".B %s\n", roffWord(text)) }

// commands adds all commands below cmd, each with its description and its options.
func (m *manual) commands(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		switch {
		case !sub.IsAvailableCommand():
		case sub.HasAvailableSubCommands():
			m.commands(sub)
		default:
			fmt.Fprintf(m, ".SS %s\n", roffWord(useLine(sub)))
			m.text(longOf(sub))
			m.flags(sub, "")
		}
	}
}

// text adds paragraphs, which empty lines separate. Lines that begin with spaces stay as they are.
func (m *manual) text(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		m.WriteString(".PP\n")
		filled := true
		for line := range strings.Lines(paragraph) {
			if filled == strings.HasPrefix(line, " ") {
				m.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[filled])
				filled = !filled
			}
			m.WriteString(roffLine(strings.TrimRight(line, "\n")) + "\n")
		}
		if !filled {
			m.WriteString(".fi\n")
		}
	}
}

// flags adds the options of a command, with a heading unless it has none.
func (m *manual) flags(cmd *cobra.Command, heading string) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		m.WriteString(heading)
		heading = ""
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		fmt.Fprintf(m, ".TP\n.B %s\n%s\n", roffWord(name), roffLine(usage+defaultOf(f)))
	})
}

// defaultOf returns the default of a flag for its description, "" where it has none.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "[]", "0", "0s":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

// roffText escapes what roff reads as a command inside of a line: backslashes, and hyphens, which would become typographic ones.
var roffText = strings.NewReplacer(`\`, `\e`, "-", `\-`)

// roffLine returns a line of text, which is no request even if it begins like one.
func roffLine(text string) string {
	text = roffText.Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}

// roffWord returns text as one argument of a request.
func roffWord(text string) string {
	return `"` + strings.ReplaceAll(roffText.Replace(text), `"`, `""`) + `"`
}
