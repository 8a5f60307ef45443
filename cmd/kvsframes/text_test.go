package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/pipeline"
)

func TestNothingCommandsTheTerminal(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"plain é 日本\n\tx", "plain é 日本\n\tx"},
		{"\x1b[31mred\x07", `\u001b[31mred\u0007`},
		{"back\rover", `back\u000dover`},
		{"\u009b31m\x7f", `\u009b31m\u007f`},
		{"left\u202eright\u2066", `left\u202eright\u2066`},
		{"no text \x9b31m", `no text \ufffd31m`},
	} {
		var out bytes.Buffer
		if n, err := (cleanWriter{&out}).Write([]byte(test.text)); n != len(test.text) || err != nil || out.String() != test.want {
			t.Errorf("%q: wrote %q (%d, %v), want %q", test.text, out.String(), n, err, test.want)
		}
	}
}

// What a name holds stays in its place: it makes no line and no cell of a table, and no letter is lost.
func TestNamesStayInTheirLine(t *testing.T) {
	const name, shown = "a\nb\tc\x1bd é", `a\u000ab\u0009c\u001bd é`
	r := kvsframes.Report{File: name, Fragments: []kvsframes.FragmentReport{{FragmentNumber: name, Codec: name, Notes: []string{name}}}, Gaps: []kvsframes.GapReport{{FragmentNumber: name, Reason: "x"}}}
	var table, sum bytes.Buffer
	if err := printReport(&table, &r, 0); err != nil {
		t.Fatal(err)
	}
	printStream(&sum, name, pipeline.Summary{Status: pipeline.StatusFailed, Error: "one\ntwo\x1b"})
	if got := strings.Count(table.String(), shown); got != 5 || strings.Count(table.String(), "\n") != 5 {
		t.Errorf("%d names in the table:\n%s", got, table.String())
	}
	if got := sum.String(); !strings.HasPrefix(got, shown+": ") || !strings.HasSuffix(got, "\n  failed: one; two\\u001b\n") {
		t.Errorf("summary:\n%s", got)
	}
}

func TestNamesNeverReachTheTerminalAsTheyAre(t *testing.T) {
	const evil = "x\x1b]0;owned\x07.mkv"
	for _, args := range [][]string{
		{"inspect", evil},
		{"run", evil},
		{"validate", evil},
		{"plan", evil},
		{"record", evil, "-o", "x"},
		{"emulate", evil},
		{"run", "--set", evil + "=1", settings(t, "source: {streams: [cam]}\nsinks: [{name: a}]")},
		{"validate", settings(t, "source: {type: file, paths: \"a\\e[1m\"}\nsinks: [{name: \"\\e\"}]\n\"\\a\": 1")},
	} {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(args); code == exitDone {
			t.Errorf("%q: code %d", args, code)
		}
		if said := stdout.String() + stderr.String(); said == "" || bytes.ContainsFunc([]byte(said), commands) {
			t.Errorf("%q: said %q", args, said)
		}
	}
}

func TestErrorsOfTheSDKAreOneLineWithTheCause(t *testing.T) {
	for _, test := range []struct {
		err  error
		want []string
	}{
		{
			errors.New("operation error Kinesis Video: GetDataEndpoint, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post \"http://127.0.0.1:1/getDataEndpoint\": dial tcp 127.0.0.1:1: connect: connection refused"),
			[]string{"dial tcp 127.0.0.1:1: connect: connection refused"},
		},
		{
			errors.New("open s3://b: operation error S3: HeadBucket, https response error StatusCode: 503, RequestID: 12, HostID: ab, api error SlowDown: slow down"),
			[]string{"open s3://b: HTTP 503, api error SlowDown: slow down"},
		},
		{
			errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, canceled, context canceled"),
			[]string{"no AWS credentials: no EC2 IMDS role found, context canceled"},
		},
		{
			errors.New("failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, http response error StatusCode: 403, request to EC2 IMDS failed"),
			[]string{"no EC2 IMDS role found, HTTP 403, request to EC2 IMDS failed"},
		},
		{errors.Join(errors.New("one"), fmt.Errorf("two: %w", errors.Join(errors.New("a"), errors.New("b")))), []string{"one", "two: a; b"}},
		{errors.New("a file, called so"), []string{"a file, called so"}},
	} {
		if got := errorLines(test.err); !slices.Equal(got, test.want) {
			t.Errorf("%v\ngives %q\nwant  %q", test.err, got, test.want)
		}
	}
}

func TestCutCountsColumns(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdef", 5, "abcd…"},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"e\u0301e\u0301", 2, "e\u0301e\u0301"},
		{"🎥🎥🎥", 5, "🎥🎥…"},
	} {
		if got := cut(test.text, test.width); got != test.want {
			t.Errorf("%q in %d columns: %q, want %q", test.text, test.width, got, test.want)
		}
	}
}
