package kvstest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// saved writes a recording to a file.
func saved(t *testing.T, recording []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "cam.mkv")
	if err := os.WriteFile(path, recording, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestARecordingIsReplayedInItsRhythm has parts that end inside a block, with a chunk, and beyond one.
func TestARecordingIsReplayedInItsRhythm(t *testing.T) {
	chunks, recording := synthetic(3)
	path := saved(t, recording)
	one, two := int64(len(chunks[0])), int64(len(chunks[0])+len(chunks[1]))
	arrivals := []Arrival{
		{300, 0},
		{310, 40 * time.Millisecond},
		{one, 45 * time.Millisecond},
		{one + 1, 300 * time.Millisecond},
		{two + 20, 7 * time.Second},
		{int64(len(recording)) - 1, 7 * time.Second},
		{int64(len(recording)), 8 * time.Second},
	}
	for _, c := range []struct {
		name, start string
		late        time.Duration
		from        int64
		end         time.Duration
	}{
		{"from the start", fromEarliest, 0, 0, 11 * time.Second},
		{"from now, late", fromNow, time.Second, one, 11 * time.Second},
		{"afterwards", fromEarliest, time.Minute, 0, 63 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := NewServer(Options{Jitter: time.Hour})
			begin := time.Now()
			if err := s.AddTimedFile("cam", path, arrivals); err != nil {
				t.Fatal(err)
			}
			get := inBubble(t, s)
			time.Sleep(c.late)
			got := get(getMedia(c.start))
			if !bytes.Equal(got.data, recording[c.from:]) {
				t.Fatalf("%s: %d bytes came, want the last %d of the recording", c.name, len(got.data), int64(len(recording))-c.from)
			}
			last := int64(0)
			for _, a := range arrivals {
				// No byte of a part comes before all of the part does.
				for _, at := range []int64{last, a.Bytes - 1} {
					if came := got.at(int(max(at-c.from, 0))).Sub(begin); at >= c.from && came != max(a.After, c.late) {
						t.Errorf("%s: byte %d came after %v, want %v", c.name, at, came, max(a.After, c.late))
					}
				}
				last = a.Bytes
			}
			if ended := time.Since(begin); ended != c.end {
				t.Errorf("%s: the session ended after %v, want %v", c.name, ended, c.end)
			}
		})
	}
}

func TestTimesThatAreNotThoseOfTheRecording(t *testing.T) {
	_, recording := synthetic(2)
	size := int64(len(recording))
	plain, err := os.ReadFile(filepath.Join("..", "decode", "testdata", "small.mkv"))
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		data     []byte
		arrivals []Arrival
	}{
		"there are no times":                     {recording, nil},
		"the times end before the recording":     {recording, []Arrival{{size - 1, 0}}},
		"the times continue after the recording": {recording, []Arrival{{size, 0}, {size + 1, 0}}},
		"only a whole GetMedia payload":          {plain, []Arrival{{int64(len(plain)), 0}}},
	} {
		s := NewServer(Options{})
		if err := s.AddTimedFile("cam", saved(t, c.data), c.arrivals); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

func TestArrivalsAreReadInOrder(t *testing.T) {
	got, err := ReadArrivals(strings.NewReader("{\"bytes\":5,\"ns\":0}\n{\"bytes\":7,\"ns\":1000000}\n"))
	if err != nil || len(got) != 2 || got[1] != (Arrival{7, time.Millisecond}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{
		"no JSON", "{\"bytes\":5", "{\"bytes\":0,\"ns\":0}", "{\"bytes\":1,\"ns\":-1}", "{\"bytes\":1,\"ns\":1e30}",
		"{\"bytes\":5,\"ns\":0}{\"bytes\":5,\"ns\":1}", "{\"bytes\":5,\"ns\":2}{\"bytes\":6,\"ns\":1}",
	} {
		if got, err := ReadArrivals(strings.NewReader(text)); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}
