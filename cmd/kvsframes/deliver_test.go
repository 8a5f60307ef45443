package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source/payload"
)

// TestImagesAreStoredBeforeTheirFragmentEnds holds a stream up in the middle of a fragment until the images of the frames before are stored, of
// H.264 without B-frames and with them.
func TestImagesAreStoredBeforeTheirFragmentEnds(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", kvstest.DefaultKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", kvstest.DefaultKey)
	for name, test := range map[string]struct {
		path string
		// later is how many of the frames that are there wait for frames that may be shown before them.
		later int
	}{
		"without B-frames": {"../../decode/testdata/no-b.mkv", 0},
		"with B-frames":    {demo, 3},
	} {
		t.Run(name, func(t *testing.T) {
			saved := read(t, test.path)
			if !strings.Contains(test.path, "demo") {
				saved, _, _ = loops{whole: packetsOf(t, saved), each: 16, mutantEvery: 1 << 30}.record(soaktest.Rand(t))
			}
			split := payload.NewSplitter(bytes.NewReader(saved), payload.Config{Stream: "cam"})
			first, err := split.Next()
			if err != nil {
				t.Fatal(err)
			}
			second, err := split.Next()
			if err != nil {
				t.Fatal(err)
			}
			within := second.Blocks[len(second.Blocks)/2].Offset
			there := len(second.Blocks) / 2
			e := kvstest.New(t, kvstest.Options{})
			if err := e.AddRecording("cam", bytes.NewReader(saved)); err != nil {
				t.Fatal(err)
			}
			stall := kvstest.Fault{Kind: kvstest.FaultStall, Op: "GetMedia", Bytes: int64(len(first.MKV) + within)}
			if err := e.SetFaults([]kvstest.Fault{stall}); err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			file := settings(t, `
source: {streams: [cam], start_selector: {type: EARLIEST}, deliver: frame, endpoint_url: "`+e.URL()+`"}
sinks: [{name: all, sample: {type: all}, resize: {width: 64}, path: "{fragment_number}/{frame_index}.{ext}", destination: {directory: "`+folder+`"}}]
`)
			cmd, _, said := startProgram(t, nil, nil, "run", file)
			var images []string
			for deadline := time.Now().Add(time.Minute); len(images) < there-test.later && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				images, _ = filepath.Glob(filepath.Join(folder, second.Number, "*.jpg"))
			}
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait() // the code says it
			if len(images) < there-test.later || len(images) > there {
				t.Errorf("%d images of a fragment of which %d blocks have come, code %d:\n%s", len(images), there, cmd.ProcessState.ExitCode(), said.Bytes())
			}
		})
	}
}
