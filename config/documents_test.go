package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettingsInTheDocumentsAreRight loads each block of YAML in the README and in docs that is a whole file of settings.
func TestSettingsInTheDocumentsAreRight(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for n, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, closed := strings.Cut(block, "```")
			if !closed || !strings.Contains(block, "\nsinks:") {
				continue
			}
			whole++
			if _, err := Load(Options{Path: page, Reader: strings.NewReader(block), Environ: []string{"AWS_REGION=eu-west-1"}}); err != nil {
				t.Errorf("%s, block %d:\n%s\n%v", page, n+1, block, err)
			}
		}
	}
	if whole < 3 {
		t.Errorf("%d blocks, the README alone has 3", whole)
	}
}
