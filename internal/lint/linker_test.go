package lint

import (
	"fmt"
	"go/ast"
	"strconv"
	"testing"
)

// keepsMethods names what makes the linker keep every exported method of every type in the program, since any of them could be
// called by its name: that is a third of the program's size, and 10 MB of memory.
var keepsMethods = map[string]bool{
	"MethodByName": true, "SetUsageTemplate": true, "SetHelpTemplate": true, "SetVersionTemplate": true,
}

// callsByName returns where a file calls, or imports, one of these.
func callsByName(f goFile) (findings []string) {
	for _, spec := range f.ast.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil && (path == "text/template" || path == "html/template") {
			findings = append(findings, fmt.Sprintf("%s:%d: imports %s, for which the linker keeps every method", f.name, f.line(spec.Pos()), path))
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && keepsMethods[sel.Sel.Name] {
			findings = append(findings, fmt.Sprintf("%s:%d: uses %s, for which the linker keeps every method", f.name, f.line(sel.Pos()), sel.Sel.Name))
		}
		return true
	})
	return findings
}

func TestTheLinkerMayDropMethods(t *testing.T) {
	for _, f := range sourceFiles(t) {
		report(t, callsByName(f))
	}
}

func TestLinkerRule(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      int
	}{
		{"other calls are fine", `import "fmt"; func f() { fmt.Println() }`, 0},
		{"a template is reported", `import "text/template"; func f() { template.New("") }`, 1},
		{"a call of a method by its name is reported", `func f(v value) { v.MethodByName("M") }`, 1},
		{"a template of cobra's is reported", `func f(c *command) { c.SetUsageTemplate("") }`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := callsByName(parse(t, "p/p.go", "package p\n"+tt.src)); len(got) != tt.want {
				t.Errorf("got %d findings, want %d: %q", len(got), tt.want, got)
			}
		})
	}
}
