package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source/payload"
)

// gate stands before an S3 server. It lets some puts pass, and holds those that follow until it is open.
type gate struct {
	forward http.Handler
	held    chan struct{} // has one for each put that is held
	opened  chan struct{}

	mu   sync.Mutex
	left int
	puts int
}

func newGate(t *testing.T, server s3test.Server, left int) (*gate, string) {
	t.Helper()
	g := &gate{forward: server.Forward(t), held: make(chan struct{}, 1000), opened: make(chan struct{}), left: left}
	front := httptest.NewServer(g)
	t.Cleanup(front.Close)
	t.Cleanup(g.open)
	return g, front.URL
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if g.holds() {
			g.held <- struct{}{}
			<-g.opened
		}
	}
	g.forward.ServeHTTP(w, r)
}

// holds counts a put, and reports whether it is one to hold.
func (g *gate) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.puts++
	g.left--
	return g.left < 0
}

// settle waits until no more puts come, because the program waits for those that are held.
func (g *gate) settle() {
	for last, n := -1, g.count(); n != last; n = g.count() {
		last = n
		time.Sleep(time.Second)
	}
}

// allow sets how many more puts pass.
func (g *gate) allow(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = n
}

// open lets everything pass.
func (g *gate) open() {
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

// count returns the number of puts so far.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.puts
}

// owned are settings of runs of one stream through a gate, whose images go to a bucket.
type owned struct {
	gate   *gate
	server s3test.Server
	bucket string
	source string
	state  string // the folder of a checkpoint in a file
	file   string
	want   map[string][sha256.Size]byte // what an undisturbed run stores
}

// inFlight is the number of puts at once.
const inFlight = 4

// newOwned returns settings with a checkpoint of a type.
func newOwned(t *testing.T, checkpoint string) owned {
	t.Helper()
	awsEnvironment(t)
	server := s3test.Start(t)
	server.Setenv(t)
	url := serve(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}, "cam", read(t, demo))
	g, front := newGate(t, server, 60)
	o := owned{gate: g, server: server, bucket: server.Bucket(t)}
	o.source = "source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: '" + url + "'}\n"
	// With one worker the fragments come one after the other, and without manifests there are no puts but those of images.
	sink := "decode: {workers: 1}\nsinks: [{name: a, type: raw, sample: {type: all}, resize: {width: 16}, manifest: {format: none}, destination: %s}]\n"
	folder := t.TempDir()
	p, _, stderr := newProgram(nil, os.Environ()...)
	if code := p.execute([]string{"run", settings(t, o.source+fmt.Sprintf(sink, "{directory: '"+folder+"'}"))}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	o.want = digests(t, folder)
	o.state = t.TempDir()
	if checkpoint == "s3" {
		checkpoint = fmt.Sprintf("{type: s3, bucket: %s, path: 'state/{stream}.json', endpoint_url: %q, force_path_style: true}", server.Bucket(t), server.Endpoint)
	} else {
		checkpoint = "{type: file, path: '" + o.state + "/{stream}.json'}"
	}
	to := fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true, max_in_flight: %d}", o.bucket, front, inFlight)
	o.file = settings(t, o.source+fmt.Sprintf(sink, to)+"checkpoint: "+checkpoint+"\n")
	return o
}

// start starts a run whose checkpoint in S3 has a term.
func (o owned) start(t *testing.T, term string, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	t.Setenv(termOfProgram, term)
	cmd, _, stderr = startProgram(t, nil, nil, append([]string{"run", o.file}, args...)...)
	return cmd, stderr
}

// hold waits until all puts of a run are held.
func (o owned) hold() {
	for range inFlight {
		<-o.gate.held
	}
}

// wantStored checks what is in the bucket.
func (o owned) wantStored(t *testing.T) {
	t.Helper()
	if got := stored(t, o.server, o.bucket); !maps.Equal(got, o.want) {
		t.Errorf("%d objects that differ from the %d of an undisturbed run", len(got), len(o.want))
	}
}

func TestTwoRunsOfOneStreamDoNotMix(t *testing.T) {
	for _, kind := range []string{"file", "s3"} {
		t.Run(kind, func(t *testing.T) {
			o := newOwned(t, kind)
			first, said := o.start(t, "6s")
			o.hold()
			before := o.gate.count()
			second, saidSecond := o.start(t, "6s")
			_ = second.Wait() // the code says it
			owner := fmt.Sprintf(":%d since 20", first.Process.Pid)
			if code := second.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(saidSecond.String(), "another run reads stream cam: checkpoint ") || !strings.Contains(saidSecond.String(), owner) {
				t.Errorf("the second run: code %d:\n%s", code, saidSecond)
			}
			if after := o.gate.count(); after != before {
				t.Errorf("the second run made %d puts", after-before)
			}
			o.gate.open()
			if err := first.Wait(); err != nil {
				t.Errorf("the first run: %v\n%s", err, said)
			}
			o.wantStored(t)
		})
	}
}

// TestARunThatWasPausedPastItsLeaseWritesNothingMore stops a run until another one has taken its stream over and read it to its end.
func TestARunThatWasPausedPastItsLeaseWritesNothingMore(t *testing.T) {
	o := newOwned(t, "s3")
	paused, said := o.start(t, "2s")
	o.hold()
	o.gate.settle() // a process may be stopped between its last look at the lease and the put
	if err := paused.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	o.gate.open()
	next, saidNext := o.start(t, "2s")
	if err := next.Wait(); err != nil || !strings.Contains(saidNext.String(), "continuing after what is delivered") && !strings.Contains(saidNext.String(), "7 fragments") {
		t.Errorf("the run that took over: %v\n%s", err, saidNext)
	}
	o.wantStored(t)
	before := o.gate.count()
	if err := paused.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = paused.Wait() // the code says it
	if code := paused.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said.String(), "another run reads stream cam now: checkpoint s3://") ||
		!strings.Contains(said.String(), fmt.Sprintf(":%d since 20", next.Process.Pid)) {
		t.Errorf("the run that was paused: code %d:\n%s", code, said)
	}
	if after := o.gate.count(); after != before {
		t.Errorf("it made %d puts", after-before)
	}
	o.wantStored(t)
}

// TestAnInterruptReleasesTheCheckpoint would wait for an hour if it did not.
func TestAnInterruptReleasesTheCheckpoint(t *testing.T) {
	o := newOwned(t, "s3")
	first, said := o.start(t, "1h")
	o.hold()
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	o.gate.open()
	_ = first.Wait() // the code says it
	if code := first.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("code %d:\n%s", code, said)
	}
	next, said := o.start(t, "1h")
	if err := next.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	o.wantStored(t)
}

// TestAListOfFragmentsIsContinued kills a run of a list. Another list has a checkpoint of its own.
func TestAListOfFragmentsIsContinued(t *testing.T) {
	o := newOwned(t, "file")
	o.gate.allow(200) // of 350
	var numbers []string
	for s := payload.NewSplitter(bytes.NewReader(read(t, demo)), payload.Config{}); ; {
		f, err := s.Next()
		if err != nil {
			break
		}
		numbers = append(numbers, f.Number)
	}
	slices.Reverse(numbers) // in any order
	list := []string{"--set", "checkpoint.every=1ms", "--fragment", strings.Join(numbers, ",")}
	killed, _ := o.start(t, "", list...)
	o.hold()
	for state := ""; !placed.MatchString(state); time.Sleep(time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(o.state, "cam-fragments-*.json"))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		state = string(read(t, found[0]))
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	o.gate.open()
	next, said := o.start(t, "", list...)
	if err := next.Wait(); err != nil || !strings.Contains(said.String(), "continuing after what is delivered") || strings.Contains(said.String(), "cam: 7 fragments") {
		t.Errorf("%v\n%s", err, said)
	}
	o.wantStored(t)
	for _, test := range []struct{ list, says string }{
		{strings.Join(numbers, ","), "nothing left to read"},
		{numbers[2], "cam: 1 fragments"},
	} {
		again, said := o.start(t, "", "--fragment", test.list)
		if err := again.Wait(); err != nil || !strings.Contains(said.String(), test.says) {
			t.Errorf("%s: %v\n%s", test.list, err, said)
		}
	}
}

// TestARunThatMayReplaceNothingIsContinuedAfterAKill has images of the run that was killed in the way of the next one.
func TestARunThatMayReplaceNothingIsContinuedAfterAKill(t *testing.T) {
	o := newOwned(t, "file")
	may := []string{"--set", "sinks.a.destination.if_exists=fail", "--set", "checkpoint.every=1ms"}
	killed, _ := o.start(t, "", may...)
	o.hold()
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	o.gate.open()
	next, said := o.start(t, "", may...)
	if err := next.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	o.wantStored(t)
	again, said := o.start(t, "", append(may, "--ignore-checkpoint")...)
	_ = again.Wait() // the code says it
	if code := again.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said.String(), "PreconditionFailed") {
		t.Errorf("a run that knows of no other: code %d\n%s", code, said)
	}
}

// TestNoSinkIsFarBeyondItsCheckpoint has a checkpoint that cannot be written for a while: so many fragments are repeated, at most, if the
// run is killed then.
func TestNoSinkIsFarBeyondItsCheckpoint(t *testing.T) {
	server := s3test.Start(t)
	awsEnvironment(t)
	server.Setenv(t)
	saved, n := cutBefore(packetsOf(t, read(t, demo)), func(i int) bool { return true })
	url := serve(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}, "cam", saved)
	state, front := newGate(t, server, 2) // a run begins with two
	out, bucket := t.TempDir(), server.Bucket(t)
	cmd, _, stderr := startProgram(t, nil, nil, "run", settings(t, "source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: '"+url+"'}\n"+
		"sinks: [{name: a, type: raw, sample: {type: all}, resize: {width: 16}, manifest: {format: none}, destination: {directory: '"+out+"'}}]\n"+
		fmt.Sprintf("checkpoint: {type: s3, bucket: %s, path: '{stream}.json', endpoint_url: %q, force_path_style: true}\n", bucket, front)))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the code says it
	}()
	select {
	case <-state.held:
	case <-ended:
	}
	images := 0
	for same := 0; same < 20; same++ { // for a second nothing is stored
		select {
		case <-ended:
			t.Fatalf("it ended:\n%s", stderr)
		case <-time.After(50 * time.Millisecond):
		}
		stored, err := filepath.Glob(filepath.Join(out, "cam", "*.rgb24"))
		if now := len(stored); err != nil || now != images || now == 0 {
			images, same = now, 0
		}
	}
	if t.Logf("%d of %d fragments", images, n); images > 256 || n <= 256 {
		t.Errorf("%d of %d fragments were delivered", images, n)
	}
	state.open()
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != exitDone || len(digests(t, out)) != n {
		t.Errorf("code %d, %d objects:\n%s", code, len(digests(t, out)), stderr)
	}
}
