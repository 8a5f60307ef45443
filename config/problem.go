package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the settings.
type Problem struct {
	// File is where the value comes from: the path of the file, or the words
	// "environment NAME" or "--set KEY" when it stands in no file.
	File string
	// Line and Column count from 1; both are 0 when the problem has no place in
	// a file, as with a key that is missing altogether.
	Line, Column int
	// Key is the full path of the key, such as sinks[1].resize.width; it is empty
	// when the problem concerns the file as a whole.
	Key string
	// Message states what is wrong and, where that is clear, what was meant.
	Message string
}

// String returns the problem as one line: `pipeline.yaml:3:5: source.type: ...`.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return strings.ReplaceAll(b.String(), "\n", `\n`)
}

// Problems is everything that is wrong with the settings, as one error.
type Problems []Problem

// Error implements error: one problem a line, in the order of the file.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of the file, those without a place in
// it at the end, and each only once.
func (ps Problems) sorted(path string) Problems {
	rank := func(p Problem) int {
		switch {
		case p.File == path && p.Line > 0:
			return 0
		case p.File == path:
			return 1
		}
		return 2
	}
	out := slices.Clone(ps)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(out)
}
