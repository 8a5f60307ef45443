package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFramesOfADownload(t *testing.T) {
	server := httptest.NewServer(http.FileServer(http.Dir("../../testdata")))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	if err := run(t.Context(), server.URL+"/demo.mkv", folder); err != nil {
		t.Fatal(err)
	}
	var images []string
	parts := 0
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		switch filepath.Ext(path) {
		case ".jpg":
			images = append(images, filepath.Base(path))
		case ".jsonl":
			parts++
		}
		return err
	})
	if err != nil || len(images) != 7 || parts != 7 {
		t.Fatalf("%d images and %d manifest parts, want 7 of each: %v", len(images), parts, err)
	}
	for i, name := range images { // WalkDir goes by name, and names begin with the time of capture
		if want := fmt.Sprintf("20260101T1200%02d_000Z_", 2*i); !strings.HasPrefix(name, want) {
			t.Errorf("image %d is %s, want %s...", i, name, want)
		}
	}
	if err := run(t.Context(), server.URL+"/none.mkv", folder); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a file that is not there gives %v", err)
	}
}
