package lint

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// The budgets, in lines. One file in twenty and one function in twenty may be
// longer than the first number, none may be longer than the second.
const (
	fileUsual, fileMost = 450, 600
	funcUsual, funcMost = 60, 100
)

// A piece is a file or a function and its length in lines.
type piece struct {
	name  string
	lines int
}

// pieces returns the length of a file and of each function in it.
func pieces(f goFile) (file piece, functions []piece) {
	file = piece{f.name, f.fset.File(f.ast.FileStart).LineCount()}
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			name := fmt.Sprintf("%s:%d: %s", f.name, f.line(fn.Pos()), fn.Name.Name)
			functions = append(functions, piece{name, f.line(fn.End()) - f.line(fn.Pos()) + 1})
		}
	}
	return file, functions
}

// tooLong tells which pieces break a budget: every one over most, and, if more
// than one in twenty is over usual, those.
func tooLong(what string, all []piece, usual, most int) []string {
	var findings []string
	var over []piece
	for _, p := range all {
		if p.lines > most {
			findings = append(findings, fmt.Sprintf("%s: this %s has %d lines, the most is %d", p.name, what, p.lines, most))
		}
		if p.lines > usual {
			over = append(over, p)
		}
	}
	if len(over)*20 > len(all)+19 {
		slices.SortFunc(over, func(a, b piece) int { return b.lines - a.lines })
		findings = append(findings, fmt.Sprintf("%d of %d %ss have more than %d lines, the most is one in twenty: %v", len(over), len(all), what, usual, over))
	}
	return findings
}

func TestFilesAndFunctionsStayShort(t *testing.T) {
	var files, functions []piece
	for _, f := range sourceFiles(t) {
		file, inside := pieces(f)
		files, functions = append(files, file), append(functions, inside...)
	}
	report(t, tooLong("file", files, fileUsual, fileMost))
	report(t, tooLong("function", functions, funcUsual, funcMost))
}

func TestSizeRule(t *testing.T) {
	// short and long functions of n lines each, in one file.
	source := func(lengths ...int) goFile {
		var src strings.Builder
		src.WriteString("package p\n")
		for i, n := range lengths {
			fmt.Fprintf(&src, "func f%d() {%s}\n", i, strings.Repeat("\n", n-1))
		}
		return parse(t, "p/p.go", src.String())
	}
	many := func(n, lines int) []int { return slices.Repeat([]int{lines}, n) }
	for _, tt := range []struct {
		name             string
		lengths          []int
		files, functions int // findings
	}{
		{"a file within every budget is fine", []int{1, 60, 30}, 0, 0},
		{"a function of exactly the most is fine", append(many(1, funcMost), 1), 0, 0},
		{"a function over the most is reported", append(many(1, funcMost+1), 1), 0, 1},
		{"two of twenty functions over the usual are reported", append(many(18, 2), 61, 61), 0, 1},
		{"one of twenty functions over the usual is fine", append(many(19, 2), 61), 0, 0},
		{"a file over the most is reported", many(300, 2), 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, functions := pieces(source(tt.lengths...))
			if got := tooLong("file", []piece{file}, fileUsual, fileMost); len(got) != tt.files {
				t.Errorf("files: got %d findings, want %d: %q", len(got), tt.files, got)
			}
			if got := tooLong("function", functions, funcUsual, funcMost); len(got) != tt.functions {
				t.Errorf("functions: got %d findings, want %d: %q", len(got), tt.functions, got)
			}
		})
	}
}
