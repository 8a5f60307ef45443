package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// change is the first line of a file in changelog/unreleased.
var change = regexp.MustCompile(`^(Security|Bugfix|Change|Enhancement): [A-Z][^\n]{10,90}[^.\n]\n\n\S`)

func TestUnreleasedChangesHaveTheForm(t *testing.T) {
	folder := filepath.Join(root(t), "changelog", "unreleased")
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f.Name(), ".md") || !change.Match(text) {
			t.Errorf("changelog/unreleased/%s: want a line such as %q, a blank line and a paragraph (see changelog/README.md)", f.Name(), "Bugfix: What is mended")
		}
	}
}

func TestChangeRule(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"a change", "Bugfix: A picture is marked\n\nBecause.\n", true},
		{"no kind", "A picture is marked\n\nBecause.\n", false},
		{"another kind", "Feature: A picture is marked\n\nBecause.\n", false},
		{"no paragraph", "Bugfix: A picture is marked\n", false},
		{"a full stop", "Bugfix: A picture is marked.\n\nBecause.\n", false},
	} {
		if got := change.MatchString(tt.text); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
