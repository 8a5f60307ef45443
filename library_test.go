package kvsframes_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestAnotherModuleCanUseThePackages builds a program of examples/ as the main package of a module of its own, as docs/library.md
// describes it, and runs it.
func TestAnotherModuleCanUseThePackages(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	program, err := os.ReadFile("examples/customsource/main.go")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": string(program),
		"go.sum":  string(sums),
		"go.mod":  fmt.Sprintf("module example.com/frames\n\ngo 1.26.0\n\nrequire github.com/kvsframes/kvsframes v0.0.0\n\nreplace github.com/kvsframes/kvsframes => %s\n", here),
	} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", "frames", ".")
	build.Dir = module
	build.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server := httptest.NewServer(http.FileServer(http.Dir("testdata")))
	t.Cleanup(server.Close)
	folder := filepath.Join(module, "out")
	if out, err := exec.CommandContext(t.Context(), filepath.Join(module, "frames"), server.URL+"/demo.mkv", folder).CombinedOutput(); err != nil {
		t.Fatalf("the program: %v\n%s", err, out)
	}
	images, err := filepath.Glob(filepath.Join(folder, "*", "*.jpg"))
	if err != nil || len(images) != 7 {
		t.Errorf("%d images, want 7: %v", len(images), err)
	}
}
