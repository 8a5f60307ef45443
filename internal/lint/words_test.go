package lint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// forbidden are words that must not stand in any file, each put together from
// parts so that this file is none of the findings. Where packages come from is
// for the machine's own settings to say: its apt sources, GOPROXY, npm's
// registry. A folder of one person's machine means nothing on the next.
var forbidden = []string{
	strings.Join([]string{"deb", "debian", "org"}, "."),
	strings.Join([]string{"ftp", "debian", "org"}, "."),
	strings.Join([]string{"security", "debian", "org"}, "."),
	strings.Join([]string{"snapshot", "debian", "org"}, "."),
	strings.Join([]string{"archive", "ubuntu", "com"}, "."),
	strings.Join([]string{"proxy", "golang", "org"}, "."),
	strings.Join([]string{"sum", "golang", "org"}, "."),
	strings.Join([]string{"goproxy", "io"}, "."),
	strings.Join([]string{"registry", "npmjs", "org"}, "."),
	strings.Join([]string{"pypi", "org"}, "."),
	"/" + "root/",
	"/" + "home/",
}

// forbiddenWords tells where a file has a word that it must not have.
func forbiddenWords(name string, content []byte) []string {
	var findings []string
	lower := bytes.ToLower(content)
	for _, word := range forbidden {
		if at := bytes.Index(lower, []byte(word)); at >= 0 {
			findings = append(findings, fmt.Sprintf("%s:%d: has %q in it", name, 1+bytes.Count(content[:at], []byte("\n")), word))
		}
	}
	return findings
}

func TestNoFileHasAForbiddenWord(t *testing.T) {
	root := root(t)
	for _, name := range repositoryFiles(t, root) {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		report(t, forbiddenWords(name, content))
	}
}

func TestWordRule(t *testing.T) {
	for _, word := range forbidden {
		content := "a line\nhttp://" + strings.ToUpper(word) + "\n"
		if got := forbiddenWords("a/b.txt", []byte(content)); len(got) != 1 || !strings.HasPrefix(got[0], "a/b.txt:2: ") {
			t.Errorf("%s on line 2: got %q", word, got)
		}
	}
	if got := forbiddenWords("a/b.txt", []byte("packages come from the apt sources of the machine\n")); len(got) != 0 {
		t.Errorf("a file without such words: got %q", got)
	}
}
