package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// secondSink adds a sink of every frame of 16 pixels' width, in a folder.
func secondSink(folder string) []string {
	return []string{"checkpoint:", "  - {name: b, type: raw, sample: {type: all}, resize: {width: 16}, destination: {directory: '" + folder + "'}}\ncheckpoint:"}
}

// endAfter ends a run after a number of fragments.
func endAfter(n string) []string {
	return []string{"{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {fragments: " + n + "}, endpoint"}
}

func TestOneSinkBeginsAgain(t *testing.T) {
	k := newKept(t)
	other := t.TempDir()
	file := k.settings(t, secondSink(other)...)
	if code, said := k.run(t, file); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	a, b := digests(t, k.out), digests(t, other)
	for _, folder := range []string{k.out, other} {
		if err := os.RemoveAll(filepath.Join(folder, "cam")); err != nil {
			t.Fatal(err)
		}
	}
	if code, said := k.run(t, file, "--restart=b"); code != exitDone || !strings.Contains(said, "beginning again with the first fragment") {
		t.Errorf("code %d:\n%s", code, said)
	}
	if got := digests(t, other); !maps.Equal(got, b) || len(got) != 350+7 {
		t.Errorf("%d objects, at first %d", len(got), len(b))
	}
	if got := digests(t, k.out); len(got) > 0 || len(a) != 39+7 {
		t.Errorf("the other sink has written %d objects, at first %d", len(got), len(a))
	}
	if code, said := k.run(t, file, "--restart=c"); code != exitUsage || !strings.Contains(said, "--restart=c: the settings have no sink of this name") {
		t.Errorf("code %d:\n%s", code, said)
	}
	if code, _ := k.run(t, file, "--restart=b", "--restart"); code != exitUsage {
		t.Errorf("both: code %d", code)
	}
}

// TestASinkThatIsAwayKeepsItsPlace leaves a sink out of the settings for one run.
func TestASinkThatIsAwayKeepsItsPlace(t *testing.T) {
	k := newKept(t)
	other := t.TempDir()
	for i, file := range []string{k.settings(t, append(endAfter("4"), secondSink(other)...)...), k.settings(t), k.settings(t, secondSink(other)...)} {
		if code, said := k.run(t, file); code != exitDone {
			t.Fatalf("run %d: code %d:\n%s", i, code, said)
		}
		if got, want := len(digests(t, other)), []int{204, 204, 357}[i]; got != want {
			t.Errorf("run %d: %d objects, want %d", i, got, want)
		}
	}
	if got := len(digests(t, k.out)); got != 39+7 {
		t.Errorf("%d objects", got)
	}
}

// TestARestartNamesWhatItLeavesOut begins anew behind what the last run has read.
func TestARestartNamesWhatItLeavesOut(t *testing.T) {
	k := newKept(t)
	if code, said := k.run(t, k.settings(t, endAfter("3")...)); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	later := k.settings(t, "{type: EARLIEST}", "{type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:10Z}")
	if code, said := k.run(t, later, "--restart"); code != exitGaps || !strings.Contains(said, "--restart began at a later fragment") {
		t.Errorf("code %d:\n%s", code, said)
	}
	parts, err := filepath.Glob(filepath.Join(k.out, "cam", "gaps", "a", "*489-after.jsonl")) // the third one's number
	if err != nil || len(parts) != 1 || !bytes.Contains(read(t, parts[0]), []byte(`"reason":"left_out"`)) {
		t.Errorf("%v, %v: ledger %q", parts, err, digests(t, k.out))
	}
	if code, said := k.run(t, k.settings(t), "--restart"); code != exitDone {
		t.Errorf("before it: code %d:\n%s", code, said)
	}
}

// withoutFirst returns the demo's recording without its first fragments, each of which is a document.
func withoutFirst(t *testing.T, n int) []byte {
	t.Helper()
	rest := read(t, demo)
	for range n {
		rest = rest[1+bytes.Index(rest[1:], []byte{0x1a, 0x45, 0xdf, 0xa3}):] // EBML's id
	}
	return rest
}

// TestWhatExpiredMeanwhileIsNamed continues runs when the stream has its last three fragments alone: one after two of the first four,
// and one that had delivered nothing.
func TestWhatExpiredMeanwhileIsNamed(t *testing.T) {
	for _, mode := range []string{"archive", "live"} {
		k := newKept(t)
		of := func(change ...string) string {
			return k.settings(t, append([]string{"mode: archive", "mode: " + mode}, change...)...)
		}
		broken := filepath.Join(k.out, "cam")
		if err := os.WriteFile(broken, nil, 0o600); err != nil { // a file where the sink's folder goes
			t.Fatal(err)
		}
		end := "{type: EARLIEST}, end: {fragments: 2}, endpoint"
		if code, said := k.run(t, of("{type: EARLIEST}, endpoint", end)); code != exitFailed {
			t.Fatalf("%s: code %d:\n%s", mode, code, said)
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		whole := k.url
		left := serve(t, kvstest.Options{}, "cam", withoutFirst(t, 4))
		for _, test := range []struct{ fragments, says, part string }{
			{"1", "this fragment and those after it expired before they were delivered", "*487-after.jsonl"},
			{"3", "the fragments after this one expired before they were read", "*488-after.jsonl"},
		} {
			if test.fragments == "3" { // two that are there
				k.url = whole
				if code, said := k.run(t, of("{type: EARLIEST}, endpoint", end), "--restart"); code != exitDone {
					t.Fatalf("%s: code %d:\n%s", mode, code, said)
				}
			}
			k.url = left
			code, said := k.run(t, of("{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {fragments: "+test.fragments+"}, endpoint"))
			if code != exitGaps || !strings.Contains(said, test.says) {
				t.Errorf("%s: code %d:\n%s", mode, code, said)
			}
			if parts, err := filepath.Glob(filepath.Join(k.out, "cam", "gaps", "a", test.part)); err != nil || len(parts) != 1 {
				t.Errorf("%s: %v, %v of %v", mode, parts, err, digests(t, k.out))
			}
		}
	}
}

// TestAStreamWithoutRetentionIsNotContinuedSilently has a stream whose fragments are kept for some minutes alone.
func TestAStreamWithoutRetentionIsNotContinuedSilently(t *testing.T) {
	awsEnvironment(t)
	e := kvstest.New(t, kvstest.Options{Quotas: kvstest.Quotas{GetMediaCalls: -1}})
	if err := e.AddRecording("cam", bytes.NewReader(read(t, demo))); err != nil {
		t.Fatal(err)
	}
	k := kept{e.URL(), t.TempDir(), t.TempDir()}
	for i, retention := range []time.Duration{kvstest.RecordingRetention, kvstest.RecordingRetention, 0} {
		if err := e.SetRetention("cam", retention); err != nil {
			t.Fatal(err)
		}
		file := k.settings(t, append([]string{"mode: archive", "mode: live"}, endAfter([]string{"2", "4", "7"}[i])...)...)
		code, said := k.run(t, file)
		if warned := strings.Contains(said, "the stream has no data retention"); code != exitDone || warned != (retention == 0) {
			t.Errorf("retention %v: code %d:\n%s", retention, code, said)
		}
	}
	if got := len(digests(t, k.out)); got != 39+7 { // they were kept long enough
		t.Errorf("%d objects", got)
	}
}

// TestAnotherStreamOfTheSameNameIsNotContinued has two streams whose ARNs differ. Who may not describe them is not asked which one it is.
func TestAnotherStreamOfTheSameNameIsNotContinued(t *testing.T) {
	awsEnvironment(t)
	k := kept{"", t.TempDir(), t.TempDir()}
	var servers []*kvstest.Server
	run := func(i int) (int, string) {
		t.Helper()
		region := []string{"us-east-1", "eu-west-1"}[i]
		t.Setenv("AWS_REGION", region)
		if len(servers) == i {
			servers = append(servers, kvstest.New(t, kvstest.Options{Region: region}))
			if err := servers[i].AddRecording("cam", bytes.NewReader(read(t, demo))); err != nil {
				t.Fatal(err)
			}
		}
		k.url = servers[i].URL()
		return k.run(t, k.settings(t, endAfter([]string{"2", "3"}[i])...))
	}
	if code, said := run(0); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	if code, said := run(1); code != exitFailed || !strings.Contains(said, servers[0].StreamARN("cam")) || !strings.Contains(said, servers[1].StreamARN("cam")) || !strings.Contains(said, "--restart") {
		t.Errorf("code %d:\n%s", code, said)
	}
	if err := servers[1].SetFaults([]kvstest.Fault{{Kind: kvstest.FaultHTTP, Op: "DescribeStream", Status: 403, Every: 1}}); err != nil {
		t.Fatal(err)
	}
	if code, said := run(1); code != exitDone {
		t.Errorf("code %d:\n%s", code, said)
	}
}
