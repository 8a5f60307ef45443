package lint

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// said finds the messages of the program in a row of docs/troubleshooting.md: what is quoted in its first cell.
var said = regexp.MustCompile("`([^`]+)`")

// unsaid returns the quoted messages of a page that no source has. Where a message has ..., its parts are looked for, and of
// a metric the name without that of the program.
func unsaid(page, sources string) (messages []string) {
	key := regexp.MustCompile(`^[a-z_.]+: `) // of the setting that an error is about
	for line := range strings.Lines(page) {
		cell, isRow := strings.CutPrefix(line, "| ")
		if !isRow {
			continue
		}
		cell, _, _ = strings.Cut(cell, " | ")
		for _, m := range said.FindAllStringSubmatch(cell, -1) {
			for part := range strings.SplitSeq(key.ReplaceAllString(m[1], ""), "...") {
				if part = strings.TrimPrefix(strings.Trim(part, " ;:"), "kvsframes_"); !strings.Contains(sources, part) {
					messages = append(messages, m[1])
					break
				}
			}
		}
	}
	return messages
}

func TestTroubleshootingQuotesWhatTheProgramSays(t *testing.T) {
	var sources strings.Builder
	err := filepath.WalkDir(root(t), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		sources.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range unsaid(string(page), sources.String()) {
		t.Errorf("docs/troubleshooting.md quotes %q, and no source has it", message)
	}
}

func TestUnsaidRule(t *testing.T) {
	const sources = `"another run reads stream %s: %w" "no AWS region is set: set"`
	for row, want := range map[string]int{
		"| `another run reads stream ...` | `else` |":   0,
		"| `source.region: no AWS region is set` | x |": 0,
		"| `another run writes stream ...` | x |":       1,
		"`no row`": 0,
	} {
		if got := unsaid(row+"\n", sources); len(got) != want {
			t.Errorf("%s gives %q", row, got)
		}
	}
}
