package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// module is the path of this module, as go.mod has it.
const module = "github.com/kvsframes/kvsframes"

// A goFile is one parsed Go file of the repository.
type goFile struct {
	// name is slash-separated and relative to the root, like media/media.go.
	name string
	fset *token.FileSet
	ast  *ast.File
}

// dir returns the file's folder, "." for the root.
func (f goFile) dir() string { return path.Dir(f.name) }

// line returns the line on which pos lies.
func (f goFile) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// parse parses one file from memory.
func parse(t *testing.T, name, src string) goFile {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return goFile{name: name, fset: fset, ast: file}
}

// root returns the folder that holds go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no folder above holds go.mod")
		}
		dir = filepath.Dir(dir)
	}
}

// repositoryFiles returns the names of all files that belong to the repository.
// What a build or a run leaves there does not.
func repositoryFiles(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		switch relative = filepath.ToSlash(relative); {
		case relative == ".git", relative == "bin", relative == "out", relative == ".kvsframes", relative == "tools/node/node_modules":
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case entry.Type().IsRegular():
			names = append(names, relative)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// sourceFiles returns the Go files of this module that are not tests, whatever
// their build constraints. tools/ is another module.
func sourceFiles(t *testing.T) []goFile {
	t.Helper()
	root := root(t)
	var files []goFile
	for _, name := range repositoryFiles(t, root) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "tools/") || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, parse(t, name, string(src)))
	}
	if len(files) == 0 {
		t.Fatal("the repository has no Go files")
	}
	return files
}

// report fails the test with every finding.
func report(t *testing.T, findings []string) {
	t.Helper()
	for _, finding := range findings {
		t.Error(finding)
	}
}
