package kvsframes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/logtest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source/payload"
)

// twoSinks is a stream of n fragments, one each step, with a sink in a folder and one in a bucket.
type twoSinks struct {
	server         s3test.Server
	folder, bucket string
	file           string
	log            *logtest.Buffer
	kvs            *kvstest.Server
}

// keyFrames returns a saved payload of n fragments, each of which is the demo's first key frame. They follow each other by a step on the clock of the
// server, and by another one on that of the producer.
func keyFrames(t *testing.T, n int, step, producer time.Duration) []byte {
	t.Helper()
	f, err := os.Open("testdata/demo.mkv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, err := payload.NewSplitter(f, payload.Config{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	track, _ := first.VideoTrack()
	block := first.Blocks[0]
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var saved []byte
	for i := range n {
		number := fmt.Sprintf("%047d", i+1)
		saved = kvstest.AppendChunk(saved, kvstest.Chunk{
			FragmentNumber: number, ProducerTime: start.Add(time.Duration(i) * producer), ServerTime: start.Add(time.Duration(i) * step), Tracks: []media.Track{track}, ContinuationToken: number,
			Blocks: []kvstest.Block{{Track: track.Number, Key: true, Data: first.MKV[block.Offset : block.Offset+block.Size]}},
		})
	}
	return saved
}

func newTwoSinks(t *testing.T, o kvstest.Options, source string, n int, step time.Duration, shutdown string) *twoSinks {
	t.Helper()
	s := &twoSinks{server: s3test.Start(t), folder: t.TempDir(), log: &logtest.Buffer{}}
	s.server.Setenv(t)
	s.bucket = s.server.Bucket(t)
	o.AccessKey, o.SecretKey = s.server.AccessKey, s.server.SecretKey
	s.kvs = kvstest.New(t, o)
	if err := s.kvs.AddRecording("cam", bytes.NewReader(keyFrames(t, n, step, step))); err != nil {
		t.Fatal(err)
	}
	s.file = filepath.Join(t.TempDir(), "pipeline.yaml")
	text := "version: 1\nsource: {streams: [cam], " + source + ", endpoint_url: '" + s.kvs.URL() + "'}\nsinks:\n"
	for name, to := range map[string]string{
		"folder": "{directory: '" + s.folder + "'}",
		"bucket": fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true, timeout: 1s}", s.bucket, s.server.Endpoint),
	} {
		text += "  - {name: " + name + ", sample: {type: all}, resize: {width: 64}, path: '{fragment_number}_{frame_index}.{ext}', manifest: {format: none}, destination: " + to + "}\n"
	}
	text += "checkpoint: {type: file, every: 50ms, path: '" + t.TempDir() + "/{stream}.json'}\nservice: {shutdown_timeout: " + shutdown + "}\n"
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts a run with short distances.
func (s *twoSinks) start(t *testing.T, drain <-chan struct{}) (*Run, chan error) {
	t.Helper()
	p, err := Load(t.Context(), LoadOptions{Path: s.file})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.NewRun(RunOptions{Drain: drain, Log: slog.New(slog.NewTextHandler(s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.distances = distances{apart: 10 * time.Second, patience: 300 * time.Millisecond, meet: 2 * time.Second, look: 20 * time.Millisecond}
	ended := make(chan error, 1)
	go func() {
		status, err := r.Do(t.Context())
		r.End(status, ExitCode(status), err)
		ended <- err
	}()
	return r, ended
}

// inFolder returns the sizes of the files in the folder, by name.
func (s *twoSinks) inFolder(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	err := fs.WalkDir(os.DirFS(s.folder), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, ".kvsframes-tmp-") {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found[path] = int(info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// inBucket returns the sizes of the objects in the bucket, by key.
func (s *twoSinks) inBucket(t *testing.T) map[string]int {
	t.Helper()
	keys, err := s.server.Keys(t.Context(), s.bucket)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, key := range keys {
		data, err := s.server.Get(t.Context(), s.bucket, key)
		if err != nil {
			t.Fatal(err)
		}
		found[key] = len(data)
	}
	return found
}

// until waits for a condition, which must come before the end of the run.
func (s *twoSinks) until(t *testing.T, ended chan error, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case err := <-ended:
			if ended <- err; holds() {
				return
			}
			t.Fatalf("not before the end of the run (%v): %s:\n%s", err, what, s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestOthersContinueWithoutASinkInTrouble stops the server of one of two sinks. More fragments follow than may be on their way.
func TestOthersContinueWithoutASinkInTrouble(t *testing.T) {
	const n = 300
	s := newTwoSinks(t, kvstest.Options{}, "start_selector: {type: EARLIEST}, end: {fragments: 300}", n, time.Second, "1s")
	run, ended := s.start(t, nil)
	s.until(t, ended, "the bucket has some", func() bool { return run.Summary().Streams["cam"].FramesWritten["bucket"] > 0 })
	s.server.Stop(t)
	s.until(t, ended, "the folder has all", func() bool { return len(s.inFolder(t)) == n })
	s.until(t, ended, "the bucket's fragments are undelivered", func() bool {
		u := run.Summary().Streams["cam"].Undelivered
		return u.Fragments > 0 && u.From != "" && u.To == fmt.Sprintf("%047d", n)
	})
	s.server.Restart(t)
	if err := <-ended; err != nil {
		t.Errorf("the run ended with %v:\n%s", err, s.log)
	}
	sum := run.Summary()
	cam := sum.Streams["cam"]
	if sum.ExitCode != 0 || cam.Fragments != n || cam.FramesWritten["folder"] != n || cam.FramesWritten["bucket"] != n || cam.Gaps != 0 || cam.Undelivered.Fragments != 0 {
		t.Errorf("the summary is %+v", cam)
	}
	if a, b := s.inFolder(t), s.inBucket(t); len(b) != n || !maps.Equal(a, b) {
		t.Errorf("%d files and %d objects:\n%s", len(a), len(b), s.log)
	}
	if sum.Sinks["folder"].Objects != n {
		t.Errorf("files were written again: %+v", sum.Sinks)
	}
}

// TestSinksThatWereApartMeet interrupts a run whose sinks are apart, and runs it again.
func TestSinksThatWereApartMeet(t *testing.T) {
	const n = 300
	s := newTwoSinks(t, kvstest.Options{}, "start_selector: {type: EARLIEST}, end: {fragments: 300}", n, time.Second, "1s")
	drain := make(chan struct{})
	run, ended := s.start(t, drain)
	s.until(t, ended, "the bucket has some", func() bool { return run.Summary().Streams["cam"].FramesWritten["bucket"] > 0 })
	s.server.Stop(t)
	s.until(t, ended, "the folder has all", func() bool { return len(s.inFolder(t)) == n })
	close(drain)
	err := <-ended
	first := run.Summary()
	u := first.Streams["cam"].Undelivered
	if first.ExitCode != 130 || u.Fragments == 0 || u.From == "" || u.To != fmt.Sprintf("%047d", n) {
		t.Errorf("the first run: %v, %+v", err, first)
	}
	s.server.Restart(t)
	before := len(s.inBucket(t))
	if before == n {
		t.Fatal("the bucket has all: nothing is tested")
	}
	again, ended := s.start(t, nil)
	if err := <-ended; err != nil {
		t.Errorf("the second run ended with %v:\n%s", err, s.log)
	}
	second := again.Summary()
	if second.ExitCode != 0 || second.Sinks["folder"].Objects != 0 || int(second.Sinks["bucket"].Objects) < n-before || second.Streams["cam"].Undelivered.Fragments != 0 {
		t.Errorf("the second run: %+v", second)
	}
	if a, b := s.inFolder(t), s.inBucket(t); len(b) != n || !maps.Equal(a, b) {
		t.Errorf("%d files and %d objects:\n%s", len(a), len(b), s.log)
	}
}

// TestLiveSinksMeetAgain stops the server of one of two sinks of a live stream, and interrupts the run when the sinks have met.
func TestLiveSinksMeetAgain(t *testing.T) {
	outages := 1
	if soaktest.Soaking() {
		outages = 4
	}
	s := newTwoSinks(t, kvstest.Options{Pace: kvstest.PaceRealtime}, "start_selector: {type: NOW}", 3000, 100*time.Millisecond, "10m")
	drain := make(chan struct{})
	run, ended := s.start(t, drain)
	for i := range outages {
		there := len(s.inFolder(t))
		s.until(t, ended, "more fragments", func() bool { return len(s.inFolder(t)) > there+3 })
		s.server.Stop(t)
		s.until(t, ended, "the sinks part", func() bool { return strings.Count(s.log.String(), "a second reader serves them") == i+1 })
		s.server.Restart(t)
		s.until(t, ended, "the sinks meet", func() bool { return strings.Count(s.log.String(), "have caught up") == i+1 })
	}
	// Until the reader of both has begun, the next run would deliver what the bucket lacks.
	there := len(s.inFolder(t))
	s.until(t, ended, "the bucket has it, too", func() bool { return len(s.inBucket(t)) > there })
	close(drain)
	if err := <-ended; err != nil {
		t.Errorf("the run ended with %v:\n%s", err, s.log)
	}
	sum, a, b := run.Summary(), s.inFolder(t), s.inBucket(t)
	cam := sum.Streams["cam"]
	if sum.ExitCode != 130 || cam.FramesWritten["folder"] != len(a) || cam.Fragments != len(a) || cam.Gaps != 0 || cam.Undelivered.Fragments != 0 {
		t.Errorf("the summary is %+v of %d files", cam, len(a))
	}
	if len(a) == 0 || !maps.Equal(a, b) {
		t.Errorf("%d files and %d objects:\n%s", len(a), len(b), s.log)
	}
	numbers := slices.Sorted(maps.Keys(a))
	first, last := numbers[0], numbers[len(numbers)-1]
	if n, err := strconv.Atoi(last[40:47]); err != nil || fmt.Sprintf("%07d", n-len(a)+1) != first[40:47] {
		t.Errorf("%d files from %s to %s", len(a), first, last)
	}
}

// TestASinkThatFailsWhileApartFailsAlone makes the bucket vanish while its sink is apart.
func TestASinkThatFailsWhileApartFailsAlone(t *testing.T) {
	const n = 300
	s := newTwoSinks(t, kvstest.Options{}, "start_selector: {type: EARLIEST}, end: {fragments: 300}", n, time.Second, "1s")
	run, ended := s.start(t, nil)
	s.until(t, ended, "the bucket has some", func() bool { return run.Summary().Streams["cam"].FramesWritten["bucket"] > 0 })
	s.server.Stop(t)
	s.until(t, ended, "the folder has all", func() bool { return len(s.inFolder(t)) == n })
	s.server.Destroy(t, s.bucket)
	s.server.Restart(t)
	err := <-ended
	sum := run.Summary()
	if err == nil || sum.ExitCode != 1 || sum.Sinks["bucket"].Status != pipeline.StatusFailed || sum.Sinks["folder"].Objects != n || sum.Streams["cam"].Undelivered.Fragments == 0 || sum.Streams["cam"].Fragments != n {
		t.Errorf("%v, %+v", err, sum)
	}
}

// TestAnOpenGroupNeedsNoSecondReader interrupts a run with an open group, which holds its sink's place back, and runs it again.
func TestAnOpenGroupNeedsNoSecondReader(t *testing.T) {
	const n, half = 300, 150
	s := newTwoSinks(t, kvstest.Options{}, "start_selector: {type: EARLIEST}, end: {fragments: 300}", n, time.Second, "20s")
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("{name: bucket, "), []byte("{name: bucket, type: webdataset, group: {every: 100s}, "), 1)
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	drain := make(chan struct{})
	run, ended := s.start(t, drain)
	s.until(t, ended, "half is read", func() bool { return len(s.inFolder(t)) > half })
	close(drain)
	if err := <-ended; err != nil {
		t.Fatalf("%v:\n%s", err, s.log)
	}
	first := run.Summary()
	u, there := first.Streams["cam"].Undelivered, len(s.inFolder(t))
	if there == n {
		t.Fatal("the run was not interrupted")
	}
	if group := 100 * (there / 100); first.ExitCode != 130 || u.Fragments != there-group || u.From != fmt.Sprintf("%047d", group+1) || first.Streams["cam"].FramesWritten["bucket"] != group {
		t.Errorf("with %d files the first run says %+v", there, first)
	}
	again, ended := s.start(t, nil)
	if err := <-ended; err != nil {
		t.Errorf("the second run ended with %v:\n%s", err, s.log)
	}
	second := again.Summary()
	if second.ExitCode != 0 || second.Streams["cam"].Fragments != n-there || int(second.Sinks["folder"].Objects) != n-there || second.Streams["cam"].Undelivered.Fragments != 0 {
		t.Errorf("the second run: %+v", second)
	}
	if objects := s.inBucket(t); len(objects) != 2*3 || len(s.inFolder(t)) != n || strings.Contains(s.log.String(), "a second reader serves them") {
		t.Errorf("%d objects, the log is\n%s", len(objects), s.log)
	}
}

// TestWhatIsOpenIsShorterThanAStreamKeepsIt has groups and manifest parts of more, and of no more, than half of the retention of a stream.
func TestWhatIsOpenIsShorterThanAStreamKeepsIt(t *testing.T) {
	for keys, want := range map[string]string{
		"type: webdataset, group: {every: 31m}": "31m0s in what is not complete (group.every and manifest.every), more than half of the 1h0m0s for which stream cam keeps its fragments", "type: webdataset, group: {every: 30m}": "",
		"manifest: {every: 31m}": "sink bucket has up to 31m0s in what", "manifest: {every: 30m}": "",
		"type: webdataset, group: {every: 20m}, manifest: {every: 20m}": "sink bucket has up to 40m0s in what",
	} {
		s := newTwoSinks(t, kvstest.Options{}, "start_selector: {type: EARLIEST}, end: {fragments: 5}", 6, time.Second, "1s")
		text, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte("{name: bucket, "), []byte("{name: bucket, "+keys+", "), 1)
		text = bytes.ReplaceAll(text, []byte("manifest: {format: none}, "), nil)
		if err := errors.Join(os.WriteFile(s.file, text, 0o600), s.kvs.SetRetention("cam", time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, ended := s.start(t, nil)
		if err := <-ended; (err == nil) != (want == "") || !strings.Contains(s.log.String(), want) {
			t.Errorf("%s: %v\n%s", keys, err, s.log)
		}
	}
}

// TestAGroupTakesHalfOfTheRetention reads streams whose producer's clock stands still, and which keep their fragments for an hour or a day.
func TestAGroupTakesHalfOfTheRetention(t *testing.T) {
	for kept, want := range map[time.Duration][]int{time.Hour: {1, 4, 7}, 24 * time.Hour: {1}} {
		for _, checkpoint := range []bool{false, true} {
			s := newTwoSinks(t, kvstest.Options{}, "start_selector: {type: EARLIEST}, end: {fragments: 8}", 1, time.Second, "1s")
			text, err := os.ReadFile(s.file)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.Replace(text, []byte("{name: bucket, "), []byte("{name: bucket, type: webdataset, group: {every: 20m}, "), 1)
			text = bytes.Replace(text, []byte("[cam]"), []byte("[slow]"), 1)
			if head, _, _ := bytes.Cut(text, []byte("checkpoint:")); !checkpoint {
				text = append(head, "checkpoint: {type: none}\n"...)
			}
			err = s.kvs.AddRecording("slow", bytes.NewReader(keyFrames(t, 8, 10*time.Minute, 0)))
			if err = errors.Join(err, os.WriteFile(s.file, text, 0o600), s.kvs.SetRetention("slow", kept)); err != nil {
				t.Fatal(err)
			}
			_, ended := s.start(t, nil)
			if err := <-ended; err != nil {
				t.Fatalf("%v\n%s", err, s.log)
			}
			objects := s.inBucket(t)
			for _, n := range want {
				if key := fmt.Sprintf("%047d_000000.tar", n); objects[key] == 0 {
					t.Errorf("kept for %v: no group begins with fragment %d", kept, n)
				}
			}
			if len(objects) != 2*len(want) {
				t.Errorf("kept for %v: %v", kept, objects)
			}
		}
	}
}

// TestAStreamThatKeepsNothingHasItsGroupsCompleted interrupts runs of a live stream, from which the open group could not be made again.
func TestAStreamThatKeepsNothingHasItsGroupsCompleted(t *testing.T) {
	for _, kept := range []time.Duration{0, 24 * time.Hour} {
		s := newTwoSinks(t, kvstest.Options{Pace: kvstest.PaceRealtime}, "start_selector: {type: NOW}", 3000, 100*time.Millisecond, "20s")
		text, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte("{name: bucket, "), []byte("{name: bucket, type: webdataset, group: {every: 1h}, "), 1)
		if err := errors.Join(os.WriteFile(s.file, text, 0o600), s.kvs.SetRetention("cam", kept)); err != nil {
			t.Fatal(err)
		}
		drain := make(chan struct{})
		run, ended := s.start(t, drain)
		s.until(t, ended, "some fragments", func() bool { return len(s.inFolder(t)) > 5 })
		close(drain)
		if err := <-ended; err != nil {
			t.Fatalf("%v:\n%s", err, s.log)
		}
		sum, files := run.Summary().Streams["cam"], len(s.inFolder(t))
		want, objects := 0, 0
		if kept == 0 {
			want, objects = files, 2
		}
		if got := sum.FramesWritten["bucket"]; got != want || len(s.inBucket(t)) != objects || sum.Undelivered.Fragments != files-want {
			t.Errorf("kept for %v: %d of %d images are in %v, %+v", kept, got, files, s.inBucket(t), sum)
		}
	}
}
