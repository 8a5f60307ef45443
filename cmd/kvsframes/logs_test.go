package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// logKey is the form of the keys of log lines.
var logKey = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// logLines returns the lines of a log in JSON, and checks their form.
func logLines(t *testing.T, log string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for key, value := range fields {
			if !logKey.MatchString(key) {
				t.Errorf("a key %q in %s", key, line)
			}
			if text, isText := value.(string); isText && strings.Contains(text, "\n") {
				t.Errorf("%s has two lines: %q", key, text)
			}
		}
		for _, key := range []string{"time", "level", "msg"} {
			if fields[key] == nil {
				t.Errorf("no %s in %s", key, line)
			}
		}
		lines = append(lines, fields)
	}
	return lines
}

// Of trouble that repeats, the log has the beginning, the number, and the end. Nothing is logged for each frame.
func TestTheLogSumsUpTrouble(t *testing.T) {
	chunks := chunksOf(t, read(t, demo))
	for _, i := range []int{1, 3, 5} {
		chunks[i] = chunks[i][:len(chunks[i])/2]
	}
	url := faulty(t, bytes.Join(chunks, nil), "http:op=GetMedia,status=503,count=3")
	file := settings(t, "source: {streams: [cam], endpoint_url: '"+url+"', start_selector: {type: EARLIEST}, end: {fragments: 7, idle_timeout: 30s}}\n"+
		"sinks: [{name: all, sample: {type: all}, resize: {width: 64}, destination: {directory: '"+t.TempDir()+"'}}]\n")
	p, _, stderr := newProgram(nil, logFormat+"=json")
	if code := p.execute([]string{"run", file}); code != exitGaps {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	count := map[string]int{}
	sums := map[string]float64{}
	lines := logLines(t, stderr.String())
	for _, fields := range lines {
		message := fields["msg"].(string)
		count[message]++
		if n, ok := fields["repeated"].(float64); ok {
			sums[message] += n
		}
	}
	for _, message := range []string{"retrying after error", "gap"} {
		if count[message] != 2 || sums[message] != 2 {
			t.Errorf("%d lines of %q, which sum up %v", count[message], message, sums[message])
		}
	}
	if count["the service answers again"] == 0 {
		t.Error("nothing states that the trouble is over")
	}
	if len(lines) > 25 {
		t.Errorf("%d lines for 7 fragments:\n%s", len(lines), stderr)
	}
}
