package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// asProgram makes the test binary the program itself, for tests of real processes.
const asProgram = "TEST_BINARY_IS_KVSFRAMES"

// termOfProgram is the term of checkpoints in S3 of such a process.
const termOfProgram = "TEST_BINARY_CHECKPOINT_TERM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		term, _ := time.ParseDuration(os.Getenv(termOfProgram)) // 0 if there is none
		runMain(term)
	}
	// The region is the first thing that a stream needs; there is no role to ask for.
	// What runs say is compared as text.
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", logFormat: "text"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// logFormat is the variable that sets the form of what a run says.
const logFormat = "KVSFRAMES_SERVICE_LOG_FORMAT"

// demo is the recording of the demo: 7 fragments of 2 s at 25 frames per second,
// from the fifth on with another picture size.
const demo = "../../testdata/demo.mkv"

// newProgram returns a program that talks into buffers, as text unless the environment sets another form.
func newProgram(stdin io.Reader, environ ...string) (p *program, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	clock := time.Now()
	return &program{
		stdin: stdin, stdout: stdout, stderr: stderr, environ: append([]string{logFormat + "=text"}, environ...),
		signals: make(chan os.Signal), release: func() {},
		now: func() time.Time { // every signal counts
			clock = clock.Add(secondAfter)
			return clock
		},
	}, stdout, stderr
}

// settings writes a settings file and returns its path. Runs of it have no checkpoint unless the text asks for one.
func settings(t testing.TB, text string) string {
	t.Helper()
	if !strings.Contains(text, "checkpoint:") {
		text += "\ncheckpoint: {type: none}\n"
	}
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitCodesOfWhatStartsNothing(t *testing.T) {
	good := settings(t, "source: {streams: [cam]}\nsinks: [{name: a}]\n")
	bad := settings(t, "source: {streams: [cam]}\nsinks: [{name: a, qualty: 3}]\n")
	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"no command", nil, exitUsage, "", "kvsframes: name a command\nSee `kvsframes --help`.\n"},
		{"an unknown command", []string{"rnu"}, exitUsage, "", "kvsframes: there is no command \"rnu\" (did you mean run?)\nSee `kvsframes --help`.\n"},
		{"an unknown command below another", []string{"docs", "men"}, exitUsage, "", "kvsframes: there is no command \"men\" (did you mean man?)\nSee `kvsframes docs --help`.\n"},
		{"a page of no command", []string{"docs", "man", "rnu"}, exitUsage, "", "kvsframes: there is no command \"rnu\" (did you mean run?)\nSee `kvsframes docs man --help`.\n"},
		{"an unknown flag", []string{"run", "--nope"}, exitUsage, "", "kvsframes: unknown flag: --nope\nSee `kvsframes run --help`.\n"},
		{"too many arguments", []string{"validate", "a", "b"}, exitUsage, "", "kvsframes: accepts at most 1 arg(s), received 2\nSee `kvsframes validate --help`.\n"},
		{"too few arguments", []string{"emulate"}, exitUsage, "", "kvsframes: name a recording, or a stream with --stream\nSee `kvsframes emulate --help`.\n"},
		{"an unknown pace", []string{"emulate", "--pace", "fast", demo}, exitUsage, "", "kvsframes: --pace \"fast\" is neither max nor realtime\nSee `kvsframes emulate --help`.\n"},
		{"jitter at the pace of max", []string{"emulate", "--jitter", "1s", demo}, exitUsage, "", "kvsframes: --jitter must be a positive time, with --pace realtime\nSee `kvsframes emulate --help`.\n"},
		{"a negative jitter", []string{"emulate", "--pace", "realtime", "--jitter", "-1s", demo}, exitUsage, "", "kvsframes: --jitter must be a positive time, with --pace realtime\nSee `kvsframes emulate --help`.\n"},
		{"a size without a unit", []string{"inspect", "--max-fragment-size", "5", demo}, exitUsage, "", "kvsframes: invalid argument \"5\" for \"--max-fragment-size\" flag: 5 has no unit: write a size such as 64MiB\nSee `kvsframes inspect --help`.\n"},
		{"valid settings", []string{"validate", good}, exitDone, good + ": ok\n", ""},
		{"wrong settings", []string{"validate", bad}, exitConfig, "", bad + ":2:19: sinks[0].qualty: unknown key (did you mean quality?)\n"},
		{"a run with wrong settings", []string{"run", bad}, exitConfig, "", bad + ":2:19: sinks[0].qualty: unknown key (did you mean quality?)\n"},
		{"a run with a wrong flag", []string{"run", good, "--set", "sinks.a.quality=0"}, exitConfig, "", "--set sinks.a.quality: sinks[0].quality: 0 is not within 1..100\n"},
		{"settings that are not there", []string{"run", "none.yaml"}, exitConfig, "", "kvsframes: read settings: open none.yaml: no such file or directory\n"},
		{"a summary that has no place", []string{"run", good, "--summary", "none/s.json"}, exitUsage, "", "kvsframes: write summary: create a file in none: no such file or directory\nSee `kvsframes run --help`.\n"},
		{"a file to inspect that is not there", []string{"inspect", "none/cam.mkv"}, exitFailed, "", "kvsframes: inspect: open none/cam.mkv: no such file or directory\n"},
		{"a start for files alone", []string{"inspect", "--start", "EARLIEST", demo}, exitUsage, "", "kvsframes: --start applies to streams, but all arguments are files\nSee `kvsframes inspect --help`.\n"},
		{"a recording without a file to go to", []string{"record", "cam"}, exitUsage, "", "kvsframes: name the file to write with --output\nSee `kvsframes record --help`.\n"},
		{"a recording of what is no stream", []string{"record", "a stream", "-o", "x"}, exitUsage, "", "kvsframes: \"a stream\" is neither the name nor the ARN of a stream\nSee `kvsframes record --help`.\n"},
		{"a recording that starts nowhere", []string{"record", "cam", "-o", "x", "--start", "noon"}, exitUsage, "", "kvsframes: --start \"noon\" is not NOW, EARLIEST or a time such as 2026-01-31T12:00:00Z\nSee `kvsframes record --help`.\n"},
		{"a recording with a limit below 0", []string{"record", "cam", "-o", "x", "--fragments", "-1"}, exitUsage, "", "kvsframes: end.fragments: -1 is below 0\nSee `kvsframes record --help`.\n"},
		{"a plan of a live stream", []string{"plan", good}, exitUsage, "", "kvsframes: source.mode is live: a live stream has no end to plan for; try --set source.mode=archive\nSee `kvsframes plan --help`.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, stdout, stderr := newProgram(strings.NewReader(""))
			if code := p.execute(test.args); code != test.code || stdout.String() != test.stdout || stderr.String() != test.stderr {
				t.Errorf("code %d, stdout %q, stderr %q\nwant code %d, stdout %q, stderr %q", code, stdout, stderr, test.code, test.stdout, test.stderr)
			}
		})
	}
}

func TestHelpTellsTheExitCodes(t *testing.T) {
	p, stdout, _ := newProgram(nil)
	if code := p.execute([]string{"--help"}); code != exitDone {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{"  0    done", "  1 ", "  2 ", "  3 ", "  78 ", "  130 "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("help lacks %q", want)
		}
	}
}

func TestValidatePrintsWhatItReadsAgain(t *testing.T) {
	file := settings(t, "source: {streams: [cam]}\nsinks: [{name: a}]\n")
	p, stdout, stderr := newProgram(nil, "KVSFRAMES_SINKS_0_QUALITY=77")
	if code := p.execute([]string{"validate", "--print", "--set", "source.region=eu-west-1", file}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	first := stdout.String()
	for line, origin := range map[string]string{
		"  region: eu-west-1": "--set source.region", "    quality: 77": "environment KVSFRAMES_SINKS_0_QUALITY",
		"  streams: [cam]": file + ":1", "  - name: a": file + ":2", "  mode: live": "default",
	} {
		if !strings.Contains(first, fmt.Sprintf("\n%-50s  # %s\n", line, origin)) {
			t.Errorf("printed without %s from %s:\n%s", line, origin, first)
		}
	}
	p, stdout, stderr = newProgram(nil)
	if code := p.execute([]string{"validate", "--print", settings(t, first)}); code != exitDone || withoutComments(stdout.String()) != withoutComments(first) {
		t.Errorf("code %d, printed\n%s%s\nfrom\n%s", code, stdout, stderr, first)
	}
}

// withoutComments returns printed settings without the origins.
func withoutComments(text string) string {
	return regexp.MustCompile(`(?m) +#.*$`).ReplaceAllString(text, "")
}

func TestVersionNamesLibavAndItsLicence(t *testing.T) {
	p, stdout, _ := newProgram(nil)
	if code := p.execute([]string{"version"}); code != exitDone {
		t.Fatalf("code %d", code)
	}
	for _, want := range []string{"kvsframes ", "\nlibavcodec 61.", "\nlibav licence: LGPL version 2.1 or later\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q lacks %q", stdout, want)
		}
	}
}

func TestVersionAsJSONTellsWhatIsolatesDecoders(t *testing.T) {
	p, stdout, stderr := newProgram(nil)
	if code := p.execute([]string{"version", "--json"}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	var got struct {
		Libraries map[string]string `json:"libraries"`
		Isolation isolation         `json:"isolation"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Libraries["libavcodec"] == "" || got.Isolation.Process != (runtime.GOOS == "linux") || got.Isolation.Process == (got.Isolation.Error != "") {
		t.Errorf("%s", stdout)
	}
}

func TestHelpFitsTheTerminal(t *testing.T) {
	for _, command := range []string{"", "run", "validate", "plan", "inspect", "record", "schema", "docs man", "docs reference"} {
		p, stdout, _ := newProgram(nil)
		if code := p.execute(append(strings.Fields(command), "--help")); code != exitDone {
			t.Errorf("%s: code %d", command, code)
		}
		for line := range strings.Lines(stdout.String()) {
			if len(strings.TrimSuffix(line, "\n")) > defaultColumns {
				t.Errorf("%s: %d columns: %s", command, len(line)-1, line)
			}
		}
	}
}
