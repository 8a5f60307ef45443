package lint

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	codeBlock  = regexp.MustCompile("(?ms)^```.*?^```")
)

// anchors returns the names that GitHub gives to the headings of a page: lower case, without punctuation, with - for blanks.
func anchors(page string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', 'a' <= r && r <= 'z', '0' <= r && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return all
}

// deadLinks returns the links of a page of the repository that lead nowhere. pages holds all pages, and exists reports whether a file is there.
func deadLinks(name string, pages map[string]string, exists func(string) bool) (findings []string) {
	for _, m := range linkTarget.FindAllStringSubmatch(codeBlock.ReplaceAllString(pages[name], ""), -1) {
		file, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(file, "://") {
			continue
		}
		to := name
		if file != "" {
			to = path.Join(path.Dir(name), file)
		}
		page, isPage := pages[to]
		if !isPage && !exists(to) || anchor != "" && !slices.Contains(anchors(page), anchor) {
			findings = append(findings, fmt.Sprintf("%s: the link %s leads nowhere", name, m[1]))
		}
	}
	return findings
}

func TestLinksLeadSomewhere(t *testing.T) {
	base := root(t)
	pages := map[string]string{}
	for _, name := range repositoryFiles(t, base) {
		if path.Ext(name) == ".md" {
			data, err := os.ReadFile(filepath.Join(base, name))
			if err != nil {
				t.Fatal(err)
			}
			pages[name] = string(data)
		}
	}
	var findings []string
	for name := range pages {
		findings = append(findings, deadLinks(name, pages, func(file string) bool {
			_, err := os.Stat(filepath.Join(base, file))
			return err == nil
		})...)
	}
	if len(pages) < 10 {
		t.Errorf("%d pages", len(pages))
	}
	report(t, findings)
}

func TestLinkRule(t *testing.T) {
	pages := map[string]string{
		"README.md": "# One\n\n```\n# no heading [x](gone.md)\n```\n[a](docs/a.md) [b](docs/a.md#two-words) [c](#one) [d](https://example.com/x) [e](docs) " +
			"[f](docs/b.md) [g](docs/a.md#two) [h](#no-heading)",
		"docs/a.md": "## `Two` words!\n\n[back](../README.md#one) [bad](README.md)",
	}
	exists := func(file string) bool { return file == "docs" }
	got := slices.Concat(deadLinks("README.md", pages, exists), deadLinks("docs/a.md", pages, exists))
	want := []string{
		"README.md: the link docs/b.md leads nowhere", "README.md: the link docs/a.md#two leads nowhere", "README.md: the link #no-heading leads nowhere",
		"docs/a.md: the link README.md leads nowhere",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
