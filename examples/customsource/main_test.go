package main

import (
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
	images, parts := 0, 0
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		switch filepath.Ext(path) {
		case ".jpg":
			images++
		case ".jsonl":
			parts++
		}
		return err
	})
	if err != nil || images != 7 || parts != 7 {
		t.Errorf("%d images and %d manifest parts, want 7 of each: %v", images, parts, err)
	}
	if err := run(t.Context(), server.URL+"/none.mkv", folder); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a file that is not there gives %v", err)
	}
}
