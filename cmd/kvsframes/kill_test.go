package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/audittest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// manySinks are sinks with every sampler. The first two destinations are the same; the last sink may fail.
const manySinks = `sinks:
  - {name: all, type: raw, sample: {type: all}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: keys, sample: {type: keyframes}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: stride, format: png, sample: {type: stride, n: 7}, resize: {width: 32}, path: "{sink}/{run_id}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: grid, type: raw, format: npy, sample: {type: interval, interval: 280ms}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", manifest: {every: 2s}, destination: %[1]s}
  - {name: asked, sample: {type: timestamps, file: %[3]s, tolerance: 5s}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: scenes, sample: {type: scene, threshold: 2, min_gap: 300ms}, filters: {blur: {max: 40}}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: best, sample: {type: best, window: 900ms}, filters: {duplicate: {distance: 2, max_gap: 3s}}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: other, sample: {type: interval, interval: 360ms}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[2]s}
`

// groupSinks are sinks of every form of objects that hold several images. Their groups end inside fragments and span several.
const groupSinks = `sinks:
  - {name: shards, type: webdataset, sample: {type: interval, interval: 80ms}, resize: {width: 32}, group: {every: 2s}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: rows, type: batch, sample: {type: all}, resize: {width: 16}, group: {count: 7}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", manifest: {every: 2s}, destination: %[1]s}
  - {name: video, type: batch, format: yuv4mpeg, sample: {type: stride, n: 2}, resize: {width: 16}, group: {every: 1s, count: 11}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: table, type: parquet, sample: {type: interval, interval: 120ms}, resize: {width: 32}, group: {every: 3s}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", manifest: {every: 3s}, destination: %[1]s}
  - {name: sheets, type: sprite, format: png, columns: 4, sample: {type: interval, interval: 160ms}, resize: {width: 32}, group: {every: 2s}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: asked, type: webdataset, sample: {type: timestamps, file: %[3]s, tolerance: 5s}, resize: {width: 32}, group: {size: 5kB}, path: "{sink}/{run_id}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: best, type: batch, layout: chw, normalize: {mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}, sample: {type: best, window: 200ms}, resize: {width: 16}, group: {every: 1500ms}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: other, sample: {type: interval, interval: 360ms}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[2]s}
`

// wholeSinks are sinks that ask for every frame. What libav guesses where a stream is damaged depends on which frames are decoded, and so
// on what other sinks ask for, and these are not everywhere at the same place. So guesses are gaps here.
const wholeSinks = `decode: {concealed: drop}
sinks:
  - {name: all, type: raw, sample: {type: all}, resize: {width: 32}, path: "{sink}/{run_id}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: other, sample: {type: all}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[2]s}
`

// formsOfSinks are the forms of which sinks above write objects, as formOf names them: all that a run can have.
var formsOfSinks = []string{
	"image", "image png", "raw", "raw npy", "webdataset", "batch", "batch chw normalize", "batch yuv4mpeg", "parquet", "sprite png",
}

// ofForm are the keys that make a form, in their order in a sink above.
var ofForm = regexp.MustCompile(`\b(?:type: (image|raw|webdataset|batch|parquet|sprite)|format: (\w+)|layout: (\w+)|(normalize):)`)

// formOf returns the form of a sink above, by its line.
func formOf(line string) string {
	form := ""
	for _, m := range ofForm.FindAllStringSubmatch(line, -1) {
		form += " " + strings.Join(m[1:], "") // one of them is there
	}
	if !strings.Contains(line, ", type: ") {
		form = " image" + form
	}
	return form[1:]
}

// forms returns the forms of the sinks of a stream, once each.
func (s *killable) forms() []string {
	var all []string
	for line := range strings.Lines(s.sinks) {
		if strings.HasPrefix(line, "  - ") && !slices.Contains(all, formOf(line)) {
			all = append(all, formOf(line))
		}
	}
	return all
}

// killable is a stream to kill runs of.
type killable struct {
	name, file string
	sinks      string
	fragments  int
	times      string // a file of times that are asked for; the last one has no frame
	want       audittest.Stored
	takes      time.Duration // of a run that nobody disturbs
}

// clips are what killable streams are made of.
var clips = []struct {
	name, sinks string
	loops
}{
	{"opengop", manySinks, loops{each: 3, mutantEvery: math.MaxInt}},
	{"flat-b", groupSinks, loops{each: 3, length: 2 * time.Second, mutantEvery: math.MaxInt}},
	{"hevc-open", manySinks, loops{each: 3, mutantEvery: math.MaxInt}},
	{"bframes", manySinks, loops{each: 7, mutantEvery: math.MaxInt}},
	{"no-b", manySinks, loops{each: 3, length: time.Second, mutantEvery: math.MaxInt}},
	{"slices", wholeSinks, loops{each: 25, length: 8 * time.Second, mutantEvery: 3}},
}

// killables are streams whose fragments need others, groups cut over fragments of three and of seven packets, and one with damage.
// Over the slow link they arrive block by block.
func killables(t *testing.T, rng *rand.Rand, server s3test.Server) (url, slow string, streams []*killable) {
	t.Helper()
	options := kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}
	e := kvstest.New(t, options)
	options.Link.BytesPerSecond = 200_000
	linked := kvstest.New(t, options)
	for _, clip := range clips {
		clip.whole = packetsOf(t, read(t, filepath.Join("../../decode/testdata", clip.name+".mkv")))
		saved, n, _ := clip.record(rng)
		for _, e := range []*kvstest.Server{e, linked} {
			if err := e.AddRecording(clip.name, bytes.NewReader(saved)); err != nil {
				t.Fatal(err)
			}
		}
		var asked strings.Builder
		start := clip.whole.ProducerTime
		for at := start; at.Before(start.Add(5 * time.Second)); at = at.Add(330 * time.Millisecond) {
			fmt.Fprintln(&asked, at.Format(time.RFC3339Nano))
		}
		fmt.Fprintln(&asked, start.Add(24*time.Hour).Format(time.RFC3339))
		folder := t.TempDir()
		s := &killable{name: clip.name, file: filepath.Join(folder, clip.name+".mkv"), fragments: n, times: filepath.Join(folder, "times.txt")}
		s.sinks = clip.sinks
		for path, data := range map[string][]byte{s.file: saved, s.times: []byte(asked.String())} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		streams = append(streams, s)
	}
	return e.URL(), linked.URL(), streams
}

// sinksInto are the settings of the stream's sinks.
func (s *killable) sinksInto(most, other string) string {
	if s.sinks == wholeSinks {
		return fmt.Sprintf(s.sinks, most, other)
	}
	return fmt.Sprintf(s.sinks, most, other, s.times)
}

// sourceOf are the settings of a stream in a mode.
func sourceOf(s *killable, mode, url string) string {
	if mode == "file" {
		return fmt.Sprintf("source: {type: file, paths: ['%s'], stream: %s}\n", s.file, s.name)
	}
	end := ""
	if mode != "archive" { // which has one
		end = fmt.Sprintf("end: {fragments: %d}, ", s.fragments)
	}
	return fmt.Sprintf("source: {streams: [%s], mode: %s, start_selector: {type: EARLIEST}, %sendpoint_url: '%s'}\n", s.name, mode, end, url)
}

// struck is a case: a stream that is read in a mode, by runs that a signal strikes.
type struck struct {
	stream       *killable
	mode, url    string
	server       s3test.Server
	s3           bool // whether the objects go to S3
	remote       bool // whether the checkpoint does, so that another machine could continue
	skips        bool // whether objects that are there stay
	broken       bool // whether a sink fails until it is repaired
	signal       syscall.Signal
	rng          *rand.Rand
	hits, midway int // midway are those of runs that had a place to continue from
}

// strike starts runs, and sends each a signal at a random moment, until so many were ended by it. From time to time, and in the end, a
// run may go on to its end: what is stored then is compared.
func (c *struck) strike(t *testing.T, hits int) {
	t.Helper()
	for c.hits < hits && !t.Failed() {
		c.round(t, min(hits-c.hits, 1+c.rng.IntN(6)))
	}
}

// places are where the runs of a round store.
type places struct {
	folder, other, bucket string // of the images
	state, states         string // a folder, or a bucket, of checkpoints
	settings              string // a file
}

// prepare makes the places of a round, and its settings.
func (c *struck) prepare(t *testing.T) places {
	t.Helper()
	p := places{folder: t.TempDir(), other: t.TempDir(), state: t.TempDir()}
	ifExists := "overwrite"
	if c.skips {
		ifExists = "skip"
	}
	to := "{directory: '" + p.folder + "', if_exists: " + ifExists + "}"
	keep := "{type: file, every: 1ms, path: '" + p.state + "/{stream}.json'}"
	if c.s3 {
		p.bucket = c.server.Bucket(t)
		to = fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true, if_exists: %s}", p.bucket, c.server.Endpoint, ifExists)
	}
	if c.remote {
		p.states = c.server.Bucket(t)
		keep = fmt.Sprintf("{type: s3, every: 1ms, path: '{stream}.json', bucket: %s, endpoint_url: %q, force_path_style: true}", p.states, c.server.Endpoint)
	}
	p.settings = settings(t, sourceOf(c.stream, c.mode, c.url)+c.stream.sinksInto(to, "{directory: '"+p.other+"'}")+"checkpoint: "+keep+"\n")
	return p
}

// checkpoint returns the checkpoint, nil if there is none yet.
func (c *struck) checkpoint(t *testing.T, p places) []byte {
	t.Helper()
	var data []byte
	if name := c.stream.name + ".json"; c.remote {
		data, _ = c.server.Get(t.Context(), p.states, name)
	} else {
		data, _ = os.ReadFile(filepath.Join(p.state, name))
	}
	return data
}

// round has runs struck, at most so many, until one ends by itself.
func (c *struck) round(t *testing.T, most int) {
	t.Helper()
	p := c.prepare(t)
	obstacle := filepath.Join(p.other, "other") // a file where the sink's folder goes
	broken := c.broken
	if broken {
		if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; ; {
		if broken && n == most {
			broken = false
			if err := os.Remove(obstacle); err != nil {
				t.Fatal(err)
			}
		}
		code, said := c.run(t, p, n < most)
		switch {
		case (code == exitDone || code == exitGaps) && !broken:
			c.compare(t, p)
			return
		case code == exitFailed && broken && strings.Contains(said, "write to sink other: "):
			most = n // nothing else is left to read
		case code == c.code() && !strings.Contains(said, "service.shutdown_timeout is over"):
			n++
			c.hits++
			if bytes.Contains(c.checkpoint(t, p), []byte(`"fragment_number":"0`)) {
				c.midway++
			}
		default:
			t.Fatalf("code %d:\n%s", code, said)
		}
	}
}

// code is the exit code of a run that the signal ended: -1 without one.
func (c *struck) code() int {
	if c.signal == syscall.SIGKILL {
		return -1
	}
	return exitInterrupted
}

// run runs the program, and may strike it.
func (c *struck) run(t *testing.T, p places, strike bool) (code int, said string) {
	t.Helper()
	summary := filepath.Join(t.TempDir(), "summary.json")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "run", p.settings, "--summary", summary)
	cmd.Env = append(c.server.Environ(), asProgram+"=1", termOfProgram+"=6s")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the code says it
	}()
	if strike {
		// Before a run has a summary it does little. And it may not handle signals yet.
		if c.signal != syscall.SIGKILL || c.rng.IntN(4) > 0 {
			waitForFile(summary, ended)
		}
		select {
		case <-time.After(time.Duration(c.rng.Int64N(int64(c.stream.takes)))): // the moment is what is tested
		case <-ended:
		}
		_ = cmd.Process.Signal(c.signal) // it may have ended
	}
	<-ended
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// waitForFile waits until a file is there, or a process has ended.
func waitForFile(path string, ended <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

// compare holds what is stored against the undisturbed run.
func (c *struck) compare(t *testing.T, p places) {
	t.Helper()
	got := storedIn(t, p.folder, p.other)
	if c.s3 {
		addBucket(t, got, c.server, p.bucket)
	}
	run := runID.Find(c.checkpoint(t, p)) // all runs are one
	if run == nil {
		t.Fatal("the checkpoint has no run")
	}
	for _, f := range audittest.Compare(got.Replaced(regexp.MustCompile(string(run)), "RUN"), c.stream.want) {
		t.Error(f)
	}
}

// runID is the ID of a run.
var runID = regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{8}`)

// storedIn returns the objects in folders.
func storedIn(t *testing.T, folders ...string) audittest.Stored {
	t.Helper()
	all := audittest.Stored{}
	for _, folder := range folders {
		if err := all.AddFolder(folder); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// undisturbed has a run store what others are compared with.
func (s *killable) undisturbed(t *testing.T, url string, server s3test.Server) {
	t.Helper()
	folder := t.TempDir()
	to := "{directory: '" + folder + "'}"
	file := settings(t, sourceOf(s, "archive", url)+s.sinksInto(to, to)+"checkpoint: {type: none}\n")
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "run", file)
	cmd.Env = append(server.Environ(), asProgram+"=1")
	said, _ := cmd.CombinedOutput() // the code says it
	s.takes = time.Since(began)
	if code := cmd.ProcessState.ExitCode(); code != exitGaps && code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	s.want = storedIn(t, folder).Replaced(runID, "RUN")
	if len(s.want) < 100 {
		t.Fatalf("an undisturbed run stores %d objects:\n%s", len(s.want), said)
	}
}

// modes are how a stream is read.
var modes = []string{"live", "archive", "auto", "file", framewise}

// framewise is a mode in which images leave while their fragment arrives.
const framewise = "live, deliver: frame"

// strikeAll strikes so many runs in all, over each stream, in each mode, into each store, and with a sink that fails if one may.
func strikeAll(t *testing.T, signal syscall.Signal, hits int, mayBreak bool) {
	t.Helper()
	server := s3test.Start(t)
	rng := soaktest.Rand(t)
	url, slow, streams := killables(t, rng, server)
	var cases []*struck
	for i, s := range streams {
		s.undisturbed(t, url, server)
		for j, mode := range modes {
			url := url
			if mode == framewise {
				url = slow
			}
			for _, s3 := range []bool{false, true} {
				cases = append(cases, &struck{
					stream: s, mode: mode, url: url, server: server, signal: signal, rng: rand.New(rand.NewPCG(rng.Uint64(), 3)),
					s3: s3, skips: s3 == (j%2 == 0), broken: mayBreak && (i+j)%2 == 0,
					remote: s3 && (signal == syscall.SIGTERM || mode == "auto"), // others wait until the lease of a run that was killed is over
				})
			}
		}
	}
	t.Run("cases", func(t *testing.T) {
		for i, c := range cases {
			t.Run(fmt.Sprintf("%s %s s3=%v remote=%v skips=%v broken=%v", c.stream.name, c.mode, c.s3, c.remote, c.skips, c.broken), func(t *testing.T) {
				t.Parallel()
				c.strike(t, (i+1)*hits/len(cases)-i*hits/len(cases))
			})
		}
	})
	total, midway, ofForm := 0, 0, map[string]int{}
	for _, c := range cases {
		total, midway = total+c.hits, midway+c.midway
		for _, form := range c.stream.forms() {
			ofForm[form] += c.hits
		}
	}
	if t.Logf("%v: %d times, %d of them midway; by forms %v", signal, total, midway, ofForm); total != hits || midway < total/20 {
		t.Errorf("these are too few of %d", hits)
	}
	for _, form := range formsOfSinks {
		if ofForm[form] < hits/len(clips) {
			t.Errorf("%d of them are of runs of the form %s, want %d", ofForm[form], form, hits/len(clips))
		}
	}
}

// TestRunsThatAreKilledLoseAndRepeatNothing kills runs at random moments and starts them again until one ends: what is stored then equals
// what an undisturbed run stores.
func TestRunsThatAreKilledLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	kills := 60
	switch {
	case soaktest.Soaking():
		kills = 50 * len(modes) * len(clips) // 50 of each form in each mode
	case soaktest.UnderRace:
		kills = 12
	}
	strikeAll(t, syscall.SIGKILL, kills, true)
}

// TestRunsThatAreInterruptedAreContinued interrupts runs at random moments: each ends as an interrupted run does, within its
// shutdown_timeout, and the next one continues it.
func TestRunsThatAreInterruptedAreContinued(t *testing.T) {
	t.Parallel()
	interrupts := 6
	if soaktest.Soaking() {
		interrupts = 100
	}
	strikeAll(t, syscall.SIGTERM, interrupts, false)
}
