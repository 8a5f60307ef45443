package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

func TestThumbnailsOfALiveStream(t *testing.T) {
	server := kvstest.New(t, kvstest.Options{})
	if err := server.AddFile("cam", "../../testdata/demo.mkv"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := thumbnails(t.Context(), kvs.Config{
		AWS: server.Config(), Stream: "cam",
		Start: source.StartSelector{Type: source.StartEarliest}, End: source.End{Fragments: 7},
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 14 { // seven fragments of 2 s
		t.Fatalf("%d lines, want 14:\n%s", len(lines), &out)
	}
	if want := "2026-01-01T12:00:00.000Z image/jpeg 320x180, "; !strings.HasPrefix(lines[0], want) {
		t.Errorf("the first line is %q, want %q", lines[0], want)
	}
	if want := "2026-01-01T12:00:13.000Z image/jpeg 320x180, "; !strings.HasPrefix(lines[13], want) {
		t.Errorf("the last line is %q, want %q", lines[13], want)
	}
}
