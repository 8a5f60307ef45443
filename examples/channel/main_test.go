package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

func TestBrightnessOfEveryFrame(t *testing.T) {
	var out bytes.Buffer
	if err := brightness(t.Context(), "../../testdata/demo.mkv", &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 350 { // seven fragments of 2 s, 25 frames a second
		t.Fatalf("%d lines, want 350", len(lines))
	}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for i, line := range lines {
		captured, mean, _ := strings.Cut(line, " ")
		if want := media.Timestamp(start.Add(time.Duration(i) * 40 * time.Millisecond)); captured != want {
			t.Errorf("line %d is of %s, want %s", i, captured, want)
		}
		if mean, err := strconv.ParseFloat(mean, 64); err != nil || mean < 90 || mean > 115 {
			t.Errorf("line %d is %q, want a mean of 90 to 115", i, line) // colour bars
		}
	}
}

// full is a disk that is full.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAReaderThatEndsEarlyEndsTheRun(t *testing.T) {
	if err := brightness(t.Context(), "../../testdata/demo.mkv", full{}); !errors.Is(err, errFull) {
		t.Errorf("the run ended with %v, want %v", err, errFull)
	}
}
