package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestBrightnessOfEveryFrame(t *testing.T) {
	var out bytes.Buffer
	if err := brightness(t.Context(), "../../testdata/demo.mkv", &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 350 {
		t.Fatalf("%d lines, want 350", len(lines))
	}
	for i, line := range lines {
		if mean, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64); err != nil || mean < 90 || mean > 115 {
			t.Errorf("line %d is %q, want a mean of 90 to 115", i, line) // colour bars
		}
	}
}

// full is a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAReaderThatEndsEarlyEndsTheRun(t *testing.T) {
	if err := brightness(t.Context(), "../../testdata/demo.mkv", full{}); err == nil {
		t.Error("the run ended well")
	}
}
