package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Bounds of a decision in ARCHITECTURE.md, in words.
const (
	maxDecisionWords = 120
	maxSentenceWords = 25
)

var sentenceEnd = regexp.MustCompile(`[.:;?!]["')*]*\s`)

// longWinded returns what is wrong with the decisions of a page: sections below "## Decisions", each with a heading of its own.
func longWinded(page string) []string {
	_, decisions, ok := strings.Cut(page, "\n## Decisions\n")
	if !ok {
		return []string{"there is no section Decisions"}
	}
	decisions, _, _ = strings.Cut(decisions, "\n## ")
	var findings []string
	for i, section := range strings.Split(decisions, "\n### ") {
		if i == 0 {
			continue
		}
		title, text, _ := strings.Cut(section, "\n")
		if n := len(strings.Fields(text)); n > maxDecisionWords {
			findings = append(findings, fmt.Sprintf("%s: %d words, at most %d", title, n, maxDecisionWords))
		}
		if !strings.Contains(text, "*Instead of*") {
			findings = append(findings, fmt.Sprintf("%s: does not name the alternative that lost", title))
		}
		for _, sentence := range sentenceEnd.Split(text+" ", -1) {
			if n := len(strings.Fields(sentence)); n > maxSentenceWords {
				findings = append(findings, fmt.Sprintf("%s: a sentence of %d words, at most %d: %.60s...", title, n, maxSentenceWords, strings.TrimSpace(sentence)))
			}
		}
	}
	return findings
}

func TestDecisionsAreShort(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(t), "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range longWinded(string(page)) {
		t.Errorf("ARCHITECTURE.md: %s", f)
	}
}

func TestDecisionRule(t *testing.T) {
	long := strings.Repeat("word ", maxSentenceWords+1)
	short := strings.Repeat("A word. ", maxDecisionWords)
	const other = "\n\n*Instead of* nothing.\n"
	for _, tt := range []struct {
		name, page string
		want       int
	}{
		{"a short decision is fine", "\n## Decisions\n\n### One\n\nIt is so." + other, 0},
		{"a long sentence is reported", "\n## Decisions\n\n### One\n\n" + long + "." + other, 1},
		{"a long decision is reported", "\n## Decisions\n\n### One\n\n" + short + other, 1},
		{"a decision without an alternative is reported", "\n## Decisions\n\n### One\n\nIt is so.\n", 1},
		{"other sections are free", "\n## Decisions\n\n### One\n\nIt is so." + other + "\n## Facts\n\n" + long, 0},
		{"a page without decisions is reported", "\n## Facts\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := longWinded(tt.page); len(got) != tt.want {
				t.Errorf("%d findings, want %d: %q", len(got), tt.want, got)
			}
		})
	}
}
