package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"testing"
)

// undocumented tells which exported names of a file have no doc comment. A group
// of constants or variables may share one; the fields of a struct are free.
func undocumented(f goFile) []string {
	var findings []string
	missing := func(pos token.Pos, name string) {
		findings = append(findings, fmt.Sprintf("%s:%d: %s has no doc comment", f.name, f.line(pos), name))
	}
	for _, decl := range f.ast.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Doc == nil && decl.Name.IsExported() && exportedReceiver(decl) {
				missing(decl.Pos(), decl.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				for _, name := range undocumentedInSpec(decl, spec) {
					missing(name.Pos(), name.Name)
				}
			}
		}
	}
	return findings
}

// exportedReceiver reports whether a function belongs to an exported type, or to none.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	name := ""
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		// The first name is the type's; those that follow are its type parameters.
		if ident, ok := n.(*ast.Ident); ok && name == "" {
			name = ident.Name
		}
		return name == ""
	})
	return ast.IsExported(name)
}

// undocumentedInSpec returns the exported names of one type, constant or
// variable, and of an interface's methods, that have no comment.
func undocumentedInSpec(decl *ast.GenDecl, spec ast.Spec) []*ast.Ident {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return nil
		}
		var bare []*ast.Ident
		if spec.Doc == nil && (decl.Doc == nil || decl.Lparen.IsValid()) {
			bare = append(bare, spec.Name)
		}
		if iface, ok := spec.Type.(*ast.InterfaceType); ok {
			bare = append(bare, undocumentedMethods(iface)...)
		}
		return bare
	case *ast.ValueSpec:
		if spec.Doc != nil || spec.Comment != nil || decl.Doc != nil {
			return nil
		}
		return exported(spec.Names)
	}
	return nil
}

// undocumentedMethods returns the methods of an interface that have no comment.
func undocumentedMethods(iface *ast.InterfaceType) []*ast.Ident {
	var bare []*ast.Ident
	for _, method := range iface.Methods.List {
		if method.Doc == nil && method.Comment == nil {
			bare = append(bare, exported(method.Names)...)
		}
	}
	return bare
}

// exported returns the names that are exported.
func exported(names []*ast.Ident) []*ast.Ident {
	var out []*ast.Ident
	for _, name := range names {
		if name.IsExported() {
			out = append(out, name)
		}
	}
	return out
}

func TestEveryExportedNameHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sourceFiles(t) {
		report(t, undocumented(f))
		documented[f.dir()] = documented[f.dir()] || f.ast.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

func TestDocRule(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      int // findings
	}{
		{"a documented function is fine", "// F does.\nfunc F() {}", 0},
		{"a bare function is reported", "func F() {}", 1},
		{"an unexported function is free", "func f() {}", 0},
		{"a bare method of an exported type is reported", "// T is.\ntype T struct{}\nfunc (t *T) M() {}", 1},
		{"a bare method of a generic type is reported", "// T is.\ntype T[K any] struct{}\nfunc (t *T[K]) M() {}", 1},
		{"a method of an unexported type is free", "type t struct{}\nfunc (x t) M() {}", 0},
		{"a bare type is reported", "type T int", 1},
		{"a bare type in a documented group is reported", "// These are.\ntype (\n\tT int\n)", 1},
		{"a bare method of an interface is reported", "// I is.\ntype I interface { M() }", 1},
		{"a documented method of an interface is fine", "// I is.\ntype I interface {\n\t// M does.\n\tM()\n}", 0},
		{"a group of constants may share a comment", "// The modes.\nconst (\n\tA = 1\n\tB = 2\n)", 0},
		{"a bare group of constants is reported name by name", "const (\n\tA = 1\n\tB = 2\n\tc = 3\n)", 2},
		{"a comment on the line is enough for a variable", "var (\n\tA = 1 // the first\n)", 0},
		{"a bare variable is reported", "var V = 1", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := undocumented(parse(t, "p/p.go", "package p\n"+tt.src)); len(got) != tt.want {
				t.Errorf("got %d findings, want %d: %q", len(got), tt.want, got)
			}
		})
	}
}
