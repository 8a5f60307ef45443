package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// everyPicture is a sink of all pictures of the demo.
const everyPicture = "sinks: [{name: all, type: image, sample: {type: all}, resize: {width: 160}, destination: %s}]\n"

// undisturbed returns what a run writes into a folder, by key.
func undisturbed(t *testing.T, from string) map[string][sha256.Size]byte {
	t.Helper()
	folder := t.TempDir()
	file := settings(t, from+fmt.Sprintf(everyPicture, fmt.Sprintf("{directory: %q}", folder)))
	p, _, stderr := newProgram(nil, os.Environ()...)
	if code := p.execute([]string{"run", file}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	return digests(t, folder)
}

// stored returns the digests of all objects of a bucket, by key.
func stored(t *testing.T, server s3test.Server, bucket string) map[string][sha256.Size]byte {
	t.Helper()
	keys, err := server.Keys(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][sha256.Size]byte{}
	for _, key := range keys {
		data, err := server.Get(t.Context(), bucket, key)
		if err != nil {
			t.Fatal(err)
		}
		found[key] = sha256.Sum256(data)
	}
	return found
}

// sources are the settings of a live stream and of an archive, both of the demo.
func sources(t *testing.T, server s3test.Server) map[string]string {
	t.Helper()
	o := kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}
	archive := serve(t, o, "cam", read(t, demo))
	o.Pace = kvstest.PaceRealtime
	live := serve(t, o, "cam", read(t, demo))
	return map[string]string{
		"live":    "source: {streams: [cam], start_selector: {type: EARLIEST}, end: {fragments: 7}, endpoint_url: '" + live + "'}\n",
		"archive": "source: {streams: [cam], mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T00:00:00Z}, end: {timestamp: 2026-01-02T00:00:00Z}, endpoint_url: '" + archive + "'}\n",
	}
}

// TestAnOutageOfTheStoreLosesNothing kills the S3 server when it has the first objects, and starts it again after a while.
func TestAnOutageOfTheStoreLosesNothing(t *testing.T) {
	lengths := []time.Duration{time.Second, 3 * time.Second, 6 * time.Second}
	if soaktest.Soaking() {
		lengths = append(lengths, 12*time.Second, 30*time.Second)
	}
	shared := s3test.Start(t)
	shared.Setenv(t)
	from := sources(t, shared)
	want := undisturbed(t, from["archive"])
	for mode, source := range from {
		for _, away := range lengths {
			t.Run(fmt.Sprint(mode, " ", away), func(t *testing.T) {
				t.Parallel()
				server := s3test.Start(t)
				bucket := server.Bucket(t)
				to := fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true}", bucket, server.Endpoint)
				file, summary := settings(t, source+fmt.Sprintf(everyPicture, to)), filepath.Join(t.TempDir(), "summary.json")
				p, _, stderr := newProgram(nil, os.Environ()...)
				ended := make(chan int, 1)
				go func() { ended <- p.execute([]string{"run", file, "--summary", summary}) }()
				for {
					if keys, err := server.Keys(t.Context(), bucket); err != nil {
						t.Fatal(err)
					} else if len(keys) > 0 {
						break
					}
				}
				server.Stop(t)
				time.Sleep(away) // is what is tested
				if len(ended) > 0 {
					t.Errorf("the run has ended without its store")
				}
				server.Restart(t)
				code := <-ended
				s := parseSummary(t, read(t, summary))
				if cam := s.Streams["cam"]; code != exitDone || cam.Fragments != 7 || cam.FramesWritten["all"] != 350 || cam.Gaps != 0 || cam.Undelivered.Fragments != 0 {
					t.Errorf("code %d, summary %+v:\n%s", code, s, stderr)
				}
				if got := stored(t, server, bucket); !maps.Equal(got, want) {
					t.Errorf("%d objects, which are not the %d of a run without an outage:\n%s", len(got), len(want), stderr)
				}
				if text := stderr.String(); away > 20*time.Second && (!strings.Contains(text, "waiting for it") || !strings.Contains(text, "works again")) {
					t.Errorf("the log is\n%s", text)
				}
			})
		}
	}
}

// badNetwork forwards requests to a server, but for some that it spoils, and all that come while the server is busy.
type badNetwork struct {
	forward http.Handler
	seed    uint64
	busy    func() bool
	n       atomic.Uint64
	spoiled [6]atomic.Int64
}

func (b *badNetwork) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := b.n.Add(1)
	refuse := func(status int, code string) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>No.</Message></Error>`, code)
	}
	if r.Method != http.MethodPut {
		b.forward.ServeHTTP(w, r)
		return
	}
	if b.busy() {
		b.spoiled[5].Add(1)
		refuse(http.StatusServiceUnavailable, "SlowDown")
		return
	}
	kind := rand.New(rand.NewPCG(b.seed, n)).IntN(20)
	if kind < 5 {
		b.spoiled[kind].Add(1)
	}
	switch kind {
	case 0, 1: // the connection is reset, sometimes with half of the body behind it
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2*int64(kind))
		panic(http.ErrAbortHandler)
	case 2: // the answer is lost
		b.forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case 3: // no answer comes
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	case 4:
		refuse(http.StatusBadRequest, "ExpiredToken")
	default:
		b.forward.ServeHTTP(w, r)
	}
}

// TestABadNetworkToTheStoreLosesNothing has a store that is busy at first, and then behind a network that spoils a
// quarter of all requests, each way of if_exists.
func TestABadNetworkToTheStoreLosesNothing(t *testing.T) {
	busy := 3 * time.Second
	if soaktest.Soaking() {
		busy = time.Minute
	}
	server := s3test.Start(t)
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "2") // so that much is left to the sink
	from := sources(t, server)
	want := undisturbed(t, from["archive"])
	for mode, source := range from {
		for _, ifExists := range []string{"overwrite", "fail", "skip"} {
			t.Run(mode+" "+ifExists, func(t *testing.T) {
				t.Parallel()
				until := time.Now().Add(busy)
				b := &badNetwork{forward: server.Forward(t), seed: rand.Uint64(), busy: func() bool { return time.Now().Before(until) }}
				t.Logf("seed %d", b.seed)
				front := httptest.NewServer(b)
				defer front.Close()
				bucket := server.Bucket(t)
				to := fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true, timeout: 500ms, if_exists: %s}", bucket, front.URL, ifExists)
				p, _, stderr := newProgram(nil, os.Environ()...)
				code := p.execute([]string{"run", settings(t, source+fmt.Sprintf(everyPicture, to))})
				if got := stored(t, server, bucket); code != exitDone || !maps.Equal(got, want) {
					t.Errorf("code %d, %d objects, which are not the %d of a run on a good network:\n%s", code, len(got), len(want), stderr)
				}
				for kind := range b.spoiled {
					if b.spoiled[kind].Load() == 0 {
						t.Errorf("no request was spoiled in way %d", kind)
					}
				}
			})
		}
	}
}
