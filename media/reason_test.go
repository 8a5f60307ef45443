package media_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

func TestEachReasonHasAMeaning(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "GapReason" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, text)
		}
		return true
	})
	if got := media.GapReason("").Values(); len(declared) == 0 || !slices.Equal(got, declared) {
		t.Errorf("the constants are %q, the reasons with a meaning %q", declared, got)
	}
	for _, reason := range declared {
		if media.GapReason(reason).Meaning() == "" {
			t.Errorf("%s has no meaning", reason)
		}
	}
}
