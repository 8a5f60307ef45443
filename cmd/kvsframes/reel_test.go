package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
)

// TestTheTimesOfARecording has fragments that arrive in one piece and in several, twice, and not at all.
func TestTheTimesOfARecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		s := &stopwatch{reel: &reel{out: &lines}}
		part := func(number string, size int) *media.Fragment {
			return &media.Fragment{Number: number, MKV: make([]byte, size)}
		}
		add := func(number string, size int) {
			if err := s.add(part(number, size)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		s.arrived(part("1", 10))
		time.Sleep(40 * time.Millisecond)
		s.arrived(part("1", 30))
		time.Sleep(10 * time.Millisecond)
		add("1", 35)
		s.arrived(part("2", 10)) // lost
		time.Sleep(time.Second)
		s.arrived(part("3", 10))
		time.Sleep(time.Second)
		s.arrived(part("3", 10)) // again, in another session
		time.Sleep(time.Millisecond)
		s.arrived(part("3", 20))
		time.Sleep(time.Millisecond)
		add("3", 20)
		add("4", 5)
		want := "{\"bytes\":10,\"ns\":0}\n{\"bytes\":30,\"ns\":40000000}\n{\"bytes\":35,\"ns\":50000000}\n" +
			"{\"bytes\":45,\"ns\":2050000000}\n{\"bytes\":55,\"ns\":2051000000}\n{\"bytes\":60,\"ns\":2052000000}\n"
		if lines.String() != want {
			t.Errorf("got\n%swant\n%s", &lines, want)
		}
	})
}

// TestARecordingIsPlayedInItsRhythm records a camera with its times, over a session that breaks, and plays both.
func TestARecordingIsPlayedInItsRhythm(t *testing.T) {
	const frame = 100 * time.Millisecond
	var payload []byte
	var ends []int64 // of the fragments
	for i := range 3 {
		c := kvstest.Chunk{
			FragmentNumber: fmt.Sprintf("%047d", i+1), ContinuationToken: fmt.Sprintf("%047d", i+1),
			ProducerTime: time.Unix(1e9, 0).Add(4 * time.Duration(i) * frame), ServerTime: time.Unix(1e9, 0),
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: 16, Height: 16}},
		}
		for j := range 4 {
			c.Blocks = append(c.Blocks, kvstest.Block{Track: 1, Key: j == 0, Time: time.Duration(j) * frame, Data: bytes.Repeat([]byte{1}, 5000)})
		}
		payload = kvstest.AppendChunk(payload, c)
		ends = append(ends, int64(len(payload)))
	}
	awsEnvironment(t)
	camera := kvstest.New(t, kvstest.Options{Pace: kvstest.PaceRealtime})
	if err := camera.SetFaults([]kvstest.Fault{{Kind: kvstest.FaultCut, Op: "GetMedia", Bytes: ends[0] + 7000, Count: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := camera.AddRecording("cam", bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	record := func(url string) (saved []byte, times string) {
		folder := t.TempDir()
		out, times := filepath.Join(folder, "cam.mkv"), filepath.Join(folder, "times")
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"record", "cam", "-o", out, "--times", times, "--start", "EARLIEST", "--fragments", "3", "--endpoint-url", url}); code != exitDone {
			t.Fatalf("code %d:\n%s", code, stderr)
		}
		return read(t, out), times
	}
	saved, times := record(camera.URL())
	f, err := os.Open(times)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	arrivals, err := kvstest.ReadArrivals(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range ends {
		if !slices.ContainsFunc(arrivals, func(a kvstest.Arrival) bool { return a.Bytes == end }) {
			t.Errorf("no time for byte %d: %v", end, arrivals)
		}
	}
	if !bytes.Equal(saved, payload) || camera.Fired()["cut"] != 1 || len(arrivals) <= len(ends) || arrivals[0].After != 0 {
		t.Errorf("%d bytes of %d, %d cuts, times %v", len(saved), len(payload), camera.Fired()["cut"], arrivals)
	}
	path := filepath.Join(t.TempDir(), "cam.mkv")
	if err := os.WriteFile(path, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	cmd, url, stderr := serving(t, os.Environ(), "emulate", "--times", times, path)
	again, _ := record(url)
	if took, last := time.Since(begin), arrivals[len(arrivals)-1].After; !bytes.Equal(again, payload) || took < last {
		t.Errorf("%d bytes of %d after %v, want at least %v", len(again), len(payload), took, last)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v: %s", err, stderr)
	}
}

func TestTimesThatCannotBeRecordedOrPlayed(t *testing.T) {
	folder := t.TempDir()
	bad := filepath.Join(folder, "bad")
	if err := os.WriteFile(bad, []byte(`{"bytes":5,"ns":1}{"bytes":4,"ns":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	url := faulty(t, read(t, demo))
	out, there := filepath.Join(folder, "out.mkv"), bad
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"record", "cam", "-o", out, "--times", "t", "--remux"}, exitUsage, "--times tells of the payload"},
		{[]string{"record", "cam", "-o", out, "--times", there, "--endpoint-url", url}, exitFailed, "kvsframes: record: " + there + " exists already"},
		{[]string{"emulate", "--times", bad, demo}, exitFailed, "read times in " + bad + ": read arrival 1: 4 bytes after 1ns follow 5 bytes"},
		{[]string{"emulate", "--times", filepath.Join(folder, "none"), demo}, exitFailed, "kvsframes: read times: open "},
		{[]string{"emulate", "--times", bad, demo, "two=" + demo}, exitUsage, "--times needs one recording"},
		{[]string{"emulate", "--times", bad, "--pace", "realtime", demo}, exitUsage, "--times needs one recording, and has a pace of its own"},
	} {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(c.args); code != c.code || stdout.Len() > 0 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: code %d, %q, %q", c.args, code, stdout, stderr)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q leaves a recording", c.args)
		}
	}
}
