package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one problem of the settings.
type Problem struct {
	// File is the source of the value: the path of the file, or "environment NAME" or "--set KEY".
	File string
	// Line and Column count from 1. Both are 0 when the problem has no place in a file, such as a missing key.
	Line, Column int
	// Key is the full path of the key, such as sinks[1].resize.width, or "" when the problem concerns the whole file.
	Key string
	// Message describes the problem and, where that is clear, what was meant.
	Message string
}

// String returns the problem as one line: `pipeline.yaml:3:5: source.type: ...`.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	if p.Key != "" {
		place += ": " + p.Key
	}
	return strings.ReplaceAll(place+": "+p.Message, "\n", `\n`)
}

// Problems holds all problems of the settings, as one error.
type Problems []Problem

// Error implements error: one problem per line, in the order of the file.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems without duplicates, in the order of the file; those without a place come last.
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
