package lint

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// link is a link of Markdown or its picture; what follows the address in quotes is its title.
	link = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)`)
	// code is a block or a word of code, in which nothing is a link.
	code          = regexp.MustCompile("(?ms)^ *```.*?^ *```|`[^`\n]+`")
	headline      = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	notInAnAnchor = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
)

// anchors returns the names that headings of a page have in links, as GitHub makes them: the second of the same name ends with -1.
func anchors(page string) map[string]bool {
	names, seen := map[string]bool{}, map[string]int{}
	for _, m := range headline.FindAllStringSubmatch(regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(page, ""), -1) {
		text := link.ReplaceAllString(m[1], "]") // a link in a heading counts by its text
		name := strings.ReplaceAll(notInAnAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		if n := seen[name]; n > 0 {
			names[fmt.Sprintf("%s-%d", name, n)] = true
		}
		seen[name]++
		names[name] = true
	}
	return names
}

// deadLinks returns the links of a page to files of the repository that are not there, or to headings that their page lacks. Pages
// are the texts of all that are Markdown, by name; exists tells whether a file or a folder is there.
func deadLinks(name string, pages map[string]string, exists func(name string) bool) (findings []string) {
	text := code.ReplaceAllStringFunc(pages[name], func(block string) string {
		return strings.Repeat("\n", strings.Count(block, "\n")) // lines stay countable
	})
	for _, m := range link.FindAllStringSubmatchIndex(text, -1) {
		address := text[m[2]:m[3]]
		if strings.Contains(address, "://") || strings.HasPrefix(address, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(address, "#")
		target := name
		if file != "" {
			target = path.Join(path.Dir(name), file)
		}
		where := fmt.Sprintf("%s:%d: %s", name, 1+strings.Count(text[:m[0]], "\n"), address)
		page, isPage := pages[target]
		switch {
		case !exists(target):
			findings = append(findings, where+": there is no such file")
		case anchor != "" && isPage && !anchors(page)[anchor]:
			findings = append(findings, where+": there is no such heading")
		}
	}
	return findings
}

func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	root, pages := root(t), map[string]string{}
	for _, name := range repositoryFiles(t, root) {
		if path.Ext(name) == ".md" {
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			pages[name] = string(text)
		}
	}
	for name := range pages {
		report(t, deadLinks(name, pages, func(name string) bool {
			_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
			return err == nil
		}))
	}
}

func TestLinkRule(t *testing.T) {
	pages := map[string]string{"docs/b.md": "# Exit codes\n## `run` it, twice\n## Same\n## Same\n```\n# no heading\n```\n"}
	exists := func(name string) bool { return name == "README.md" || name == "docs" || pages[name] != "" }
	for _, tt := range []struct {
		text string
		want string
	}{
		{"[a](b.md) [a](../README.md) [a](../docs) ![a](b.md \"title\")", ""},
		{"[a](b.md#exit-codes) [a](b.md#run-it-twice) [a](b.md#same) [a](b.md#same-1)", ""},
		{"[a](https://example.org/c.md#d) [a](mailto:a@example.org)", ""},
		{"`[a](c.md)`\n```\n[a](c.md)\n```", ""},
		{"# Here\n[a](#here)", ""},
		{"\n\n[a](c.md)", "docs/a.md:3: c.md: there is no such file"},
		{"```\n\n```\n[a](c.md)", "docs/a.md:4: c.md: there is no such file"},
		{"[a](b.md#exit)", "docs/a.md:1: b.md#exit: there is no such heading"},
		{"[a](b.md#no-heading)", "docs/a.md:1: b.md#no-heading: there is no such heading"},
		{"[a](#there)", "docs/a.md:1: #there: there is no such heading"},
	} {
		pages["docs/a.md"] = tt.text
		if got := strings.Join(deadLinks("docs/a.md", pages, exists), "\n"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
