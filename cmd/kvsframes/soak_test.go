package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/audittest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// soakLength is how long the streams of the soak last: KVSTEST_SOAK_LENGTH, or else half an hour for make soak.
func soakLength(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv("KVSTEST_SOAK_LENGTH"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return length
	}
	switch {
	case soaktest.Soaking():
		return 30 * time.Minute
	case soaktest.UnderRace:
		return 20 * time.Second
	}
	return 2 * time.Minute
}

// soakRun is a process of the soak, or a row of them, and the streams that it reads.
type soakRun struct {
	name, mode string
	kill       bool
	streams    []soakStream
	bucket     string
	folder     string
	file       string // of its settings
	metrics    string // their URL
	log        string // a file

	samples []vitals
}

// soak is the state of TestASoakLosesAndRepeatsNothing.
type soak struct {
	t                 *testing.T
	start             time.Time // on the producers' clocks
	length            time.Duration
	store             s3test.Server
	times             string // a file of times that are asked for
	environ           []string
	kills, interrupts atomic.Int64
	children          atomic.Int64 // that were killed while their program went on
}

// soakSinks are the sinks of the soak, by S3's settings and the folder of the others. Some of the times have no frame.
const soakSinks = `sinks:
  - {name: thumbs, sample: {type: interval, interval: 2s}, resize: {width: 64}, path: "{sink}/{stream}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: train, type: raw, sample: {type: stride, n: 61}, resize: {width: 32}, path: "{sink}/{stream}/{fragment_number}_{frame_index}.{ext}", destination: %[2]s}
  - {name: asked, sample: {type: timestamps, file: %[3]s, tolerance: 100ms}, resize: {width: 64}, path: "{sink}/{stream}/{fragment_number}_{frame_index}.{ext}", destination: %[2]s}
`

// TestASoakLosesAndRepeatsNothing plays 20 live streams with damaged fragments through every fault of the emulator, into a store behind a
// bad network. One run goes on to the end, and must not grow; the others are killed and started again. What is stored in the end is
// counted from the objects, against an undisturbed run.
func TestASoakLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	rng := soaktest.Rand(t)
	s := &soak{t: t, start: time.Now().UTC().Truncate(time.Second), length: soakLength(t), store: s3test.Start(t)}
	s.environ = s.renewing()
	s.times = s.asked()
	streams, mutants := soakStreams(t, rng, 20, s.start, s.length)
	undisturbed := s.undisturbed(streams)

	front := &badNetwork{forward: s.store.Forward(t), seed: rng.Uint64(), busy: func() bool { return time.Now().Unix()%60 < 5 }}
	proxy := httptest.NewServer(front)
	defer proxy.Close()
	emulator := s.emulator(kvstest.PaceRealtime, streams)
	if err := emulator.SetFaults(soakFaults(rng.Uint64())); err != nil {
		t.Fatal(err)
	}
	runs := []*soakRun{
		{name: "steady", mode: "live", streams: streams[:10]},
		{name: "killed", mode: "live", kill: true, streams: streams[10:15]},
		{name: "killed, from the archive on", mode: "auto", kill: true, streams: streams[15:]},
	}
	var wg sync.WaitGroup
	for _, r := range runs {
		s.prepare(r, emulator.URL(), proxy.URL)
		seed := rng.Uint64()
		wg.Go(func() { s.play(r, rand.New(rand.NewPCG(seed, 2))) })
	}
	wg.Wait()

	table := soakTable{
		length: s.length, streams: len(streams), kills: s.kills.Load(), interrupts: s.interrupts.Load(),
		children: s.children.Load(), mutants: mutants,
	}
	happened := map[string]int64{"kills": table.kills, "interrupts": table.interrupts, "children that were killed": table.children, "damaged fragments": int64(mutants)}
	for _, f := range soakFaults(0) {
		n := emulator.Fired()[f.Label]
		happened["fault "+f.Label] = int64(n)
		table.service += n
	}
	for i := range front.spoiled {
		happened[fmt.Sprintf("requests to the store that fail in way %d", i)] += front.spoiled[i].Load()
		table.store += front.spoiled[i].Load()
	}
	t.Logf("what happened: %v", happened)
	for what, n := range happened {
		if n == 0 && s.length >= time.Minute { // a shorter one is too short for all
			t.Errorf("no %s", what)
		}
	}
	s.count(runs, undisturbed(), &table)
	fmt.Fprint(os.Stderr, table)
}

// count compares what is stored with what an undisturbed run stores, and what the steady run held at its end with what it held at first.
func (s *soak) count(runs []*soakRun, expected audittest.Stored, table *soakTable) {
	s.t.Helper()
	var found []audittest.Finding
	for _, r := range runs {
		want := ofStreams(expected, r.streams)
		found = append(found, audittest.Compare(s.stored(r), want)...)
		table.objects += len(want)
		for _, v := range r.samples {
			table.peak = max(table.peak, v[vitalMemory])
		}
		if !r.kill {
			for _, problem := range apart(r.samples, s.growth()) {
				s.t.Errorf("%s: %s", r.name, problem)
			}
		}
	}
	table.lost, table.duplicated = audittest.Count(found, audittest.Lost), audittest.Count(found, audittest.Duplicated)
	table.changed, table.guessed = audittest.Count(found, audittest.Changed), audittest.Count(found, audittest.Guessed)
	for i, f := range found {
		switch {
		case f.Kind == audittest.Guessed:
			s.t.Log(f)
		case i < 50:
			s.t.Error(f)
		default:
			s.t.Fail()
		}
	}
}

// growth is the share by which the last third may be above the first. A short run is still filling its buffers.
func (s *soak) growth() float64 {
	if s.length < 10*time.Minute {
		return 0.3
	}
	return 0.05
}

// soakTable is the table of a soak.
type soakTable struct {
	length                                      time.Duration
	kills, interrupts, children, store          int64
	streams, service, mutants                   int
	objects, lost, duplicated, changed, guessed int
	peak                                        float64
}

// String returns the table as the README has it.
func (s soakTable) String() string {
	var b strings.Builder
	row := func(name string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", name, value) }
	fmt.Fprintf(&b, "| %v, %d live streams | |\n|---|---|\n", s.length, s.streams)
	row("kills", s.kills)
	row("interrupts", s.interrupts)
	row("decoders killed in a run that went on", s.children)
	row("faults of the service", s.service)
	row("requests to the store that failed", s.store)
	row("damaged fragments", s.mutants)
	row("objects", s.objects)
	row("lost", s.lost)
	row("duplicated", s.duplicated)
	row("other bytes", s.changed)
	row("damaged pictures that libav guessed otherwise", s.guessed)
	row("most memory of one run", fmt.Sprintf("%.0f MB", s.peak/1e6))
	return b.String()
}

// asked writes a file of times that are asked for, of which the last has no frame.
func (s *soak) asked() (path string) {
	s.t.Helper()
	var text strings.Builder
	for at := time.Duration(0); at < s.length; at += 10300 * time.Millisecond {
		fmt.Fprintln(&text, s.start.Add(at).Format(time.RFC3339Nano))
	}
	fmt.Fprintln(&text, s.start.Add(24*time.Hour).Format(time.RFC3339))
	path = filepath.Join(s.t.TempDir(), "times.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// soakFaults is every fault of the emulator, as often as a stream can bear: each finds a fragment in its way, so that none hits one three times.
func soakFaults(seed uint64) []kvstest.Fault {
	const size = 20_000 // of a fragment, about
	return []kvstest.Fault{
		{Label: "throttle", Kind: kvstest.FaultThrottle, P: 0.05, Seed: seed},
		{Label: "connections", Kind: kvstest.FaultConnections, Every: 19},
		{Label: "endpoint", Kind: kvstest.FaultEndpoint, Every: 13},
		{Label: "move", Kind: kvstest.FaultMove, Every: 11},
		{Label: "token", Kind: kvstest.FaultToken, Op: "GetMedia", Stream: "cam-10", Every: 7}, // the credentials are those of all streams
		{Label: "expired token", Kind: kvstest.FaultToken, Op: "GetMedia", Stream: "cam-12", Code: "ExpiredTokenException", Every: 7},
		{Label: "status 500", Kind: kvstest.FaultHTTP, Status: 500, P: 0.03, Seed: seed + 1},
		{Label: "status 503", Kind: kvstest.FaultHTTP, Status: 503, P: 0.03, Seed: seed + 2},
		{Label: "XML", Kind: kvstest.FaultXML, Every: 29},
		{Label: "error 3000", Kind: kvstest.FaultTag, ID: 3000, Fragments: 1, P: 0.03, Seed: seed + 3},
		{Label: "error 5000", Kind: kvstest.FaultTag, ID: 5000, Fragments: 1, P: 0.03, Seed: seed + 4},
		{Label: "missing", Kind: kvstest.FaultMissing, P: 0.2, Tries: 2, Seed: seed + 5},
		{Label: "stall", Kind: kvstest.FaultStall, Bytes: 1, BytesMax: 2 * size, Every: 21, Seed: seed + 6},
		{Label: "idle", Kind: kvstest.FaultIdle, Fragments: 1, Every: 20},
		{Label: "slow", Kind: kvstest.FaultSlow, Rate: 50_000, Delay: time.Second, Every: 18},
		{Label: "corrupt", Kind: kvstest.FaultCorrupt, Bytes: 0, BytesMax: 3, Every: 14, Seed: seed + 7}, // those of a picture do not tell that they are wrong
		{Label: "end", Kind: kvstest.FaultCut, Clean: true, Bytes: 1, BytesMax: 3 * size, P: 0.3, Seed: seed + 8},
		{Label: "cut", Kind: kvstest.FaultCut, Bytes: 1, BytesMax: 6 * size, P: 0.7, Seed: seed + 9},
	}
}

// emulator serves the streams.
func (s *soak) emulator(pace kvstest.Pace, streams []soakStream) *kvstest.Server {
	s.t.Helper()
	e := kvstest.New(s.t, kvstest.Options{AccessKey: s.store.AccessKey, SecretKey: s.store.SecretKey, Pace: pace})
	for _, stream := range streams {
		if err := e.AddFile(stream.name, stream.path); err != nil {
			s.t.Fatal(err)
		}
	}
	return e
}

// undisturbed starts a run over the recordings without any trouble. The function that it returns waits for its end, and returns what it
// has stored.
func (s *soak) undisturbed(streams []soakStream) func() audittest.Stored {
	s.t.Helper()
	folder := s.t.TempDir()
	to := "{directory: '" + folder + "'}"
	file := settings(s.t, s.settings(streams, "archive", s.emulator(kvstest.PaceMax, streams).URL(), to, to)+"checkpoint: {type: none}\n")
	var said bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], "run", file)
	cmd.Env, cmd.Stderr = s.environ, &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return func() audittest.Stored {
		_ = cmd.Wait() // the code says it
		if code := cmd.ProcessState.ExitCode(); code != exitGaps {
			s.t.Fatalf("code %d:\n%s", code, said.Bytes())
		}
		all := audittest.Stored{}
		if err := all.AddFolder(folder); err != nil {
			s.t.Fatal(err)
		}
		return all
	}
}

// ofStreams returns the objects of some of the streams.
func ofStreams(all audittest.Stored, streams []soakStream) audittest.Stored {
	of := audittest.Stored{}
	for key, o := range all {
		for _, stream := range streams {
			if strings.Contains("/"+key, "/"+stream.name+"/") {
				of[key] = o
			}
		}
	}
	return of
}

// settings are the settings of a run over streams. thumbs and others are destinations.
func (s *soak) settings(streams []soakStream, mode, url, thumbs, others string) string {
	var names []string
	for _, stream := range streams {
		names = append(names, stream.name)
	}
	return fmt.Sprintf("source: {streams: [%s], mode: %s, start_selector: {type: EARLIEST}, end: {timestamp: %s}, endpoint_url: '%s'}\n",
		strings.Join(names, ", "), mode, s.start.Add(s.length).Format(time.RFC3339), url) + fmt.Sprintf(soakSinks, thumbs, others, s.times)
}

// prepare writes the settings of a run.
func (s *soak) prepare(r *soakRun, emulator, store string) {
	s.t.Helper()
	r.bucket, r.folder, r.log = s.store.Bucket(s.t), s.t.TempDir(), filepath.Join(s.t.TempDir(), "log")
	free := httptest.NewServer(http.NotFoundHandler())
	address := free.Listener.Addr().String()
	free.Close()
	r.metrics = "http://" + address + "/metrics"
	thumbs := fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true, timeout: 10s}", r.bucket, store)
	r.file = settings(s.t, s.settings(r.streams, r.mode+", deliver: frame", emulator, thumbs, "{directory: '"+r.folder+"'}")+
		"checkpoint: {type: file, path: '"+s.t.TempDir()+"/{stream}.json'}\n"+
		"service: {http: '"+address+"', log: {level: warn}, progress: 'off'}\n")
}

// renewing is the environment of the runs: they get their credentials from a program, and so other ones each time that they ask.
func (s *soak) renewing() []string {
	s.t.Helper()
	folder := s.t.TempDir()
	script, config := filepath.Join(folder, "credentials"), filepath.Join(folder, "config")
	text := fmt.Sprintf("#!/bin/sh\n"+`printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%%s"}' "$(cat /proc/sys/kernel/random/uuid)"`, s.store.AccessKey, s.store.SecretKey)
	if err := errors.Join(os.WriteFile(script, []byte(text), 0o700), os.WriteFile(config, []byte("[default]\ncredential_process = "+script+"\n"), 0o600)); err != nil {
		s.t.Fatal(err)
	}
	return append(s.store.Environ(), asProgram+"=1", "AWS_CONFIG_FILE="+config, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_MAX_ATTEMPTS=2")
}

// play starts the program until it has read its streams to their ends.
func (s *soak) play(r *soakRun, rng *rand.Rand) {
	log, err := os.Create(r.log)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer log.Close()
	most := time.Until(s.start.Add(s.length + 10*time.Minute))
	ctx, cancel := context.WithTimeout(s.t.Context(), most)
	defer cancel()
	for {
		cmd := exec.CommandContext(ctx, os.Args[0], "run", r.file)
		cmd.Env, cmd.Stderr = s.environ, log
		if err := cmd.Start(); err != nil {
			s.t.Error(err)
			return
		}
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // the code says it
			close(ended)
		}()
		signal := s.watch(r, rng, cmd, ended)
		switch code := cmd.ProcessState.ExitCode(); {
		case code == exitDone || code == exitGaps:
			s.t.Logf("%s: ended %v after its streams", r.name, time.Since(s.start.Add(s.length)).Round(time.Second))
			return
		case signal == syscall.SIGKILL && code == -1:
			s.kills.Add(1)
		case signal == syscall.SIGTERM && code == exitInterrupted:
			s.interrupts.Add(1)
		default:
			said, _ := os.ReadFile(r.log)
			s.t.Errorf("%s: code %d after %v:\n%s", r.name, code, signal, said[max(0, len(said)-4000):])
			return
		}
	}
}

// apartFaults is between two SIGSEGV of a program's decoders: a fragment of which two decoders die is left out.
const apartFaults = 20 * time.Second

// watch takes samples of a process until it has ended, and ends it if it is one to kill. It returns the signal.
func (s *soak) watch(r *soakRun, rng *rand.Rand, cmd *exec.Cmd, ended <-chan struct{}) (signal syscall.Signal) {
	over := s.start.Add(s.length)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	serves := false
	var segv time.Time
	child := time.NewTicker(3 * time.Second)
	defer child.Stop()
	var kill <-chan time.Time
	if longest := min(int(s.length/time.Millisecond)/10, 30_000); r.kill {
		kill = time.After(time.Duration(300+rng.IntN(longest)) * time.Millisecond) // the moment is what is tested
	}
	for {
		select {
		case <-ended:
			return signal
		case <-tick.C:
			if v := vitalsOf(cmd.Process.Pid, r.metrics); v != nil && time.Now().Before(over) {
				r.samples, serves = append(r.samples, v), true
			}
		case <-child.C:
			fault := time.Since(segv) > apartFaults && rng.IntN(3) == 0
			if s.killChild(rng, cmd.Process.Pid, fault) {
				s.children.Add(1)
			}
			if fault {
				segv = time.Now()
			}
		case <-kill:
			if time.Now().After(over) {
				continue
			}
			signal = syscall.SIGKILL
			if rng.IntN(4) == 0 && serves { // before, it may not handle signals
				signal = syscall.SIGTERM
			}
			_ = cmd.Process.Signal(signal) // it may have ended
		}
	}
}

// killChild kills one of the decoders of a process, as damage does if fault, and else as the system does that is short of memory. It
// reports whether there was one.
func (s *soak) killChild(rng *rand.Rand, pid int, fault bool) bool {
	decoders := slices.DeleteFunc(family(pid)[1:], func(child int) bool { // but not the program for credentials
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		return err != nil || !strings.HasPrefix(string(line), "kvsframes-decoder")
	})
	if len(decoders) == 0 {
		return false
	}
	signal := syscall.SIGKILL
	if fault {
		signal = syscall.SIGSEGV
	}
	return syscall.Kill(decoders[rng.IntN(len(decoders))], signal) == nil
}

// stored returns what a run has stored.
func (s *soak) stored(r *soakRun) audittest.Stored {
	s.t.Helper()
	all := audittest.Stored{}
	if err := all.AddFolder(r.folder); err != nil {
		s.t.Fatal(err)
	}
	addBucket(s.t, all, s.store, r.bucket)
	return all
}

// addBucket adds the objects of a bucket, which must have no unfinished upload.
func addBucket(t *testing.T, all audittest.Stored, server s3test.Server, bucket string) {
	t.Helper()
	keys, err := server.Keys(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		data, err := server.Get(t.Context(), bucket, key)
		if err != nil {
			t.Fatal(err)
		}
		all.Add(key, data)
	}
	if uploads, err := server.Uploads(t.Context(), bucket); err != nil || len(uploads) > 0 {
		t.Errorf("unfinished uploads: %q, %v", uploads, err)
	}
}
