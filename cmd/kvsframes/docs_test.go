package main

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// printed returns what a command prints.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	p, stdout, stderr := newProgram(nil)
	if code := p.execute(args); code != exitDone {
		t.Fatalf("%q: code %d: %s", args, code, stderr)
	}
	return stdout.String()
}

func TestTheReferenceIsUpToDate(t *testing.T) {
	if printed(t, "docs", "reference") != string(read(t, "../../docs/reference.md")) {
		t.Error("docs/reference.md differs from what `kvsframes docs reference` prints: run `make reference`")
	}
}

func TestTheReferenceHasNoEmptyCell(t *testing.T) {
	tables, metrics, _ := strings.Cut(printed(t, "docs", "reference"), "\n## Metrics\n")
	for line := range strings.Lines(tables + metrics[strings.Index(metrics, "\n## "):]) {
		if strings.Contains(line, "|  |") {
			t.Errorf("a cell is empty: %s", line)
		}
	}
}

func TestTheVersionIsAFlagToo(t *testing.T) {
	if flag, command := printed(t, "--version"), printed(t, "version"); flag != command {
		t.Errorf("--version prints %q, version %q", flag, command)
	}
}

func TestTheSchemaIsPrinted(t *testing.T) {
	var schema struct {
		Dialect string `json:"$schema"`
	}
	if err := json.Unmarshal([]byte(printed(t, "schema")), &schema); err != nil || schema.Dialect != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("%q, %v", schema, err)
	}
}

// overstruck matches how groff prints bold and underlined characters without colours.
var overstruck = regexp.MustCompile(".\b")

// TestGroffReadsTheManPages formats the page of each command, and of the program, without a warning and without losing an option.
func TestGroffReadsTheManPages(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatalf("groff (make setup-test installs it): %v", err)
	}
	p, _, _ := newProgram(nil)
	root := p.newRootCommand()
	formatted := func(args ...string) string {
		var said strings.Builder
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-Tutf8", "-P-c", "-ww", "-rLL=200n")
		cmd.Stdin, cmd.Stderr = strings.NewReader(printed(t, append([]string{"docs", "man"}, args...)...)), &said
		text, err := cmd.Output()
		if err != nil || said.Len() > 0 {
			t.Errorf("the page of %q: %v: %s", args, err, &said)
		}
		return strings.Join(strings.Fields(overstruck.ReplaceAllString(string(text), "")), " ")
	}
	whole := formatted()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		page := formatted(strings.Fields(cmd.CommandPath())[1:]...)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			for of, text := range map[string]string{"the command": page, "the program": whole} {
				if !f.Hidden && f.Name != "help" && !strings.Contains(text, "--"+f.Name) {
					t.Errorf("the page of %s lacks --%s of %s", of, f.Name, cmd.CommandPath())
				}
			}
		})
		if first, _, _ := strings.Cut(longOf(cmd), "\n"); !strings.Contains(page, first) || !strings.Contains(whole, cmd.CommandPath()) {
			t.Errorf("the page of %s lacks its description:\n%s", cmd.CommandPath(), page)
		}
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub)
			}
		}
	}
	visit(root)
}
