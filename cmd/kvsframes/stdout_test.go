package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// piped runs the program with standard output as the standard input of a program of others. It returns what that prints, what the program
// says on standard error, and its exit code.
func piped(t *testing.T, args []string, reader ...string) (printed []byte, said string, code int) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
	var stderr, out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = to, &stderr
	read := exec.CommandContext(t.Context(), reader[0], reader[1:]...)
	read.Stdin, read.Stdout, read.Stderr = from, &out, &complaints
	for _, c := range []*exec.Cmd{cmd, read} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	from.Close()
	to.Close()
	readErr := read.Wait()
	_ = cmd.Wait() // code tells
	if readErr != nil {
		t.Fatalf("%s (make setup-test installs it): %v: %s; %s", reader[0], readErr, &complaints, &stderr)
	}
	return out.Bytes(), stderr.String(), cmd.ProcessState.ExitCode()
}

// singles returns the images of a run with a sink of its own, in the order of the stream.
func singles(t *testing.T, sink string) (images [][]byte) {
	t.Helper()
	folder := runForms(t, `sinks: [{name: single, path: "{fragment_number}_{frame_index}.{ext}", manifest: {format: none}, ledger: {path: ""}, `+sink+`, destination: %[1]s}]`, demo)
	for _, name := range found(t, folder, "*") {
		images = append(images, read(t, name))
	}
	return images
}

// TestReadersOfStandardOutput pipes every form into programs of others, and compares what they read with the images in a folder.
func TestReadersOfStandardOutput(t *testing.T) {
	t.Parallel()
	run := func(sink string) []string {
		return []string{"run", "--sink", sink + ",destination=stdout", "--set", "source.stream=cam.front", demo}
	}
	const raw = "-f rawvideo -pix_fmt rgb24 -"
	ffmpeg := func(args string) []string {
		return append([]string{"ffmpeg", "-v", "warning"}, strings.Fields(args)...)
	}
	done := func(t *testing.T, said string, code int) {
		t.Helper()
		if code != exitDone {
			t.Fatalf("code %d: %s", code, said)
		}
	}

	for _, format := range []string{"jpeg", "png"} {
		t.Run(format, func(t *testing.T) {
			codec := map[string]string{"jpeg": "mjpeg", "png": "png_pipe"}[format]
			got, said, code := piped(t, run("format="+format+",sample=stride,n=5,width=320"), ffmpeg("-f "+codec+" -i - -f rawvideo -")...)
			done(t, said, code)
			files := filepath.Join(t.TempDir(), "%03d."+format)
			images := singles(t, "format: "+format+", sample: {type: stride, n: 5}, resize: {width: 320}")
			for i, image := range images {
				if err := os.WriteFile(fmt.Sprintf(files, i), image, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := output(t, "ffmpeg", strings.Fields("-v warning -f image2 -i "+files+" -f rawvideo -")...)
			if size := map[string]int{"jpeg": 320 * 180 * 3 / 2, "png": 320 * 180 * 3}[format]; len(images) != 70 || len(got) != 70*size || !bytes.Equal(got, want) {
				t.Errorf("ffmpeg decodes %d bytes of a pipe, and %d of %d files", len(got), len(want), len(images))
			}
			whole, said, code := piped(t, run("format="+format+",sample=stride,n=5,width=320"), "cat")
			done(t, said, code)
			if !bytes.Equal(whole, slices.Concat(images...)) {
				t.Errorf("%d bytes on standard output are not those of %d files", len(whole), len(images))
			}
		})
	}
	t.Run("yuv4mpeg", func(t *testing.T) {
		got, said, code := piped(t, run("type=batch,format=yuv4mpeg,sample=all,width=320,height=180,fit=stretch"), ffmpeg("-f yuv4mpegpipe -i - -f rawvideo -")...)
		done(t, said, code)
		want := slices.Concat(singles(t, "type: raw, pixel_format: yuv420p, sample: {type: all}, resize: {width: 320, height: 180, fit: stretch}")...)
		if len(got) != 350*320*180*3/2 || !bytes.Equal(got, want) {
			t.Errorf("ffmpeg decodes %d bytes, want %d", len(got), len(want))
		}
	})
	t.Run("bare frames", func(t *testing.T) {
		got, said, code := piped(t, run("type=raw,sample=all,width=160,height=90,fit=stretch"), ffmpeg("-f rawvideo -pix_fmt rgb24 -s 160x90 -i - "+raw)...)
		done(t, said, code)
		want := slices.Concat(singles(t, "type: raw, sample: {type: all}, resize: {width: 160, height: 90, fit: stretch}")...)
		if len(got) != 350*160*90*3 || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d", len(got), len(want))
		}
	})
	t.Run("arrays", func(t *testing.T) {
		// np.load needs to seek in a file, and takes what can be read from a buffer. The camera changes the size of its pictures.
		got, said, code := piped(t, run("type=raw,format=npy,pixel_format=gray,sample=stride,n=7"), "/usr/bin/python3", "-c", `import io, sys, numpy as np
b, shapes, total = io.BytesIO(sys.stdin.buffer.read()), [], 0
while b.tell() < len(b.getbuffer()):
    a = np.load(b, allow_pickle=False)
    shapes.append(a.shape); total += int(a.sum())
print(len(shapes), shapes[0], shapes[-1], total)`)
		done(t, said, code)
		images, total := singles(t, "type: raw, pixel_format: gray, sample: {type: stride, n: 7}"), 0
		for _, image := range images {
			for _, v := range image {
				total += int(v)
			}
		}
		if want := fmt.Sprintf("%d (360, 640) (720, 1280) %d", len(images), total); strings.TrimSpace(string(got)) != want {
			t.Errorf("NumPy sees %q, want %q", got, want)
		}
	})
	t.Run("webdataset", func(t *testing.T) {
		sink := "type=webdataset,sample=stride,n=10,width=64"
		list, said, code := piped(t, run(sink), "tar", "--list", "--verbose", "--file", "-")
		done(t, said, code)
		images := singles(t, "sample: {type: stride, n: 10}, resize: {width: 64}")
		lines := strings.Split(strings.TrimSpace(string(list)), "\n")
		if len(images) != 35 || len(lines) != 2*len(images) {
			t.Fatalf("%d members of %d images", len(lines), len(images))
		}
		var members [2][]string // by their place in a sample
		for i, line := range lines {
			fields := strings.Fields(line)
			name := grouping.FindStringSubmatch(fields[len(fields)-1])
			if name == nil || name[2] != []string{"jpg", "json"}[i%2] {
				t.Fatalf("%q is no part of a sample", line)
			}
			members[i%2] = append(members[i%2], name[1])
		}
		if !slices.Equal(members[0], members[1]) {
			t.Errorf("samples %v have other records than images: %v", members[0], members[1])
		}
		got, said, code := piped(t, run(sink), "tar", "--extract", "--to-stdout", "--wildcards", "--file", "-", "*.jpg")
		done(t, said, code)
		if !bytes.Equal(got, slices.Concat(images...)) {
			t.Error("GNU tar extracts other images than those in a folder")
		}
		whole, said, code := piped(t, run(sink), "cat")
		done(t, said, code)
		if !bytes.HasSuffix(whole, make([]byte, 2*512)) {
			t.Error("the tar does not end with two empty blocks")
		}
	})
}

// TestAReaderThatLeavesEndsTheRun also measures that it ends soon, although the recording could be read for long.
func TestAReaderThatLeavesEndsTheRun(t *testing.T) {
	t.Parallel()
	summary := filepath.Join(t.TempDir(), "summary.json")
	file := settings(t, fmt.Sprintf("source: {type: file, paths: [%q], stream: cam}\n", demo)+"sinks: [{name: pipe, sample: {type: all}, destination: {type: stdout}}]\n")
	got, said, code := piped(t, []string{"run", file, "--summary", summary}, "head", "--bytes", "100000")
	if code != exitDone || len(got) != 100000 || !strings.Contains(said, "the reader of a sink has closed the pipe") {
		t.Errorf("code %d, %d bytes: %s", code, len(got), said)
	}
	for _, s := range readSummary(t, summary) {
		if s.Status != "complete" || s.Fragments == 7 || s.Gaps != 0 || s.Undelivered.Fragments != 0 {
			t.Errorf("summary %+v", s)
		}
	}
}

func TestOtherSinksGoOnWithoutTheReaderOfStandardOutput(t *testing.T) {
	t.Parallel()
	e := kvstest.New(t, kvstest.Options{AccessKey: "test", SecretKey: "test"})
	if err := e.AddRecording("cam.front", bytes.NewReader(read(t, demo))); err != nil {
		t.Fatal(err)
	}
	images := singles(t, "sample: {type: stride, n: 10}")
	for name, text := range map[string]string{
		"without a checkpoint": fmt.Sprintf("source: {type: file, paths: [%q], stream: cam.front}", demo),
		"with a checkpoint": fmt.Sprintf("source: {streams: [cam.front], start_selector: {type: EARLIEST}, end: {fragments: 7}, endpoint_url: %q}\ncheckpoint: {path: %q}",
			e.URL(), filepath.Join(t.TempDir(), "{stream}.json")),
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := settings(t, text+fmt.Sprintf(`
sinks:
  - {name: pipe, type: webdataset, sample: {type: all}, destination: {type: stdout}}
  - {name: files, sample: {type: stride, n: 10}, destination: {directory: %q}}
`, folder))
			_, said, code := piped(t, []string{"run", file}, "head", "--bytes", "100000")
			if code != exitDone || !strings.Contains(said, "the reader of a sink has closed the pipe") {
				t.Errorf("code %d: %s", code, said)
			}
			names := found(t, folder, "cam.front/*.jpg")
			if len(images) != 35 || len(names) != 35 {
				t.Fatalf("%d images, want %d", len(names), len(images))
			}
			for i, name := range names {
				if !bytes.Equal(read(t, name), images[i]) {
					t.Errorf("%s differs", name)
				}
			}
			if name == "with a checkpoint" { // which states that the stream was read to its end
				if _, said, code := piped(t, []string{"run", file}, "cat"); code != exitDone || !strings.Contains(said, "nothing left to read") {
					t.Errorf("again: code %d: %s", code, said)
				}
			}
		})
	}
}

// TestADrainLeavesWholeSamplesOnStandardOutput interrupts runs of a live stream, and reads what they wrote: nothing ends in the middle. The checkpoint
// has the place of the other sink alone.
func TestADrainLeavesWholeSamplesOnStandardOutput(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"type: image", "type: webdataset"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			e := kvstest.New(t, kvstest.Options{AccessKey: "test", SecretKey: "test"})
			if err := e.AddRecording("cam", bytes.NewReader(read(t, demo))); err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			state := filepath.Join(folder, "{stream}.json")
			file := settings(t, fmt.Sprintf(`source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: %q}
sinks:
  - {name: pipe, %s, sample: {type: all}, destination: {type: stdout}}
  - {name: files, sample: {type: keyframes}, destination: {directory: %q}}
checkpoint: {type: file, path: %q}
`, e.URL(), form, folder, state))
			from, to, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "run", file)
			cmd.Env = append(os.Environ(), asProgram+"=1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = to, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			to.Close()
			// A reader that is slow fills the pipe, so that the run is in the middle of a sample when it is interrupted.
			head := make([]byte, 200_000)
			if _, err := io.ReadFull(from, head); err != nil {
				t.Fatal(err, &stderr)
			}
			time.Sleep(200 * time.Millisecond)
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(from)
			if err != nil {
				t.Fatal(err)
			}
			if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
				t.Fatalf("code %d: %s", cmd.ProcessState.ExitCode(), &stderr)
			}
			got := append(head, rest...)
			if form == "type: image" {
				const end, begin = "\xff\xd9", "\xff\xd8"
				for i, image := range strings.Split(strings.TrimSuffix(string(got), end), end+begin) {
					if _, err := jpeg.Decode(strings.NewReader(begin + strings.TrimPrefix(image, begin) + end)); err != nil {
						t.Errorf("image %d: %v", i, err)
					}
				}
				if !strings.HasSuffix(string(got), end) {
					t.Error("the last image does not end")
				}
			} else if name := filepath.Join(folder, "all.tar"); true {
				if err := os.WriteFile(name, got, 0o600); err != nil {
					t.Fatal(err)
				}
				output(t, "tar", "--list", "--file", name)
				if !bytes.HasSuffix(got, make([]byte, 2*512)) {
					t.Error("the tar does not end with two empty blocks")
				}
			}
			var saved struct {
				State struct {
					Sinks map[string]any `json:"sinks"`
				} `json:"state"`
			}
			if err := json.Unmarshal(read(t, filepath.Join(folder, "cam.json")), &saved); err != nil || len(saved.State.Sinks) != 1 || saved.State.Sinks["files"] == nil {
				t.Errorf("the checkpoint has %v (%v), want the place of files alone", saved.State.Sinks, err)
			}
		})
	}
}

// TestAChangeOfSizeOnStandardOutputIsAnError since neither bare frames nor yuv4mpeg can say it.
func TestAChangeOfSizeOnStandardOutputIsAnError(t *testing.T) {
	t.Parallel()
	for _, sink := range []string{"type=batch,format=yuv4mpeg", "type=raw"} {
		_, said, code := piped(t, []string{"run", "--sink", sink + ",sample=stride,n=5,destination=stdout", demo}, "cat")
		if code != exitFailed || !strings.Contains(said, "the size changes from 640x360 to 1280x720") || !strings.Contains(said, "set resize.width and resize.height") {
			t.Errorf("%s: code %d: %s", sink, code, said)
		}
	}
}

func TestStandardOutputIsForOneSinkAlone(t *testing.T) {
	t.Parallel()
	for sinks, want := range map[string]string{
		"sinks: [{name: a, destination: {type: stdout}}, {name: b, destination: {type: stdout}}]":                                          `sinks[1].destination.type: sink "a" writes to standard output already`,
		"sinks: [{name: a, destination: {type: stdout}, manifest: {format: jsonl}, ledger: {path: 'x/{stream}/{fragment_number}.jsonl'}}]": "manifest.format: has no meaning on standard output",
		"sinks: [{name: a, destination: {type: stdout}, path: '{stream}/{fragment_number}_{frame_index}.x'}]":                              "path: has no meaning on standard output",
		"sinks: [{name: a, type: batch, destination: {type: stdout}}]":                                                                     "type raw, format npy gives an array for each",
		"sinks: [{name: a, type: webdataset, group: {count: 5}, destination: {type: stdout}}]":                                             "group: standard output has no groups",
		"sinks: [{name: a, destination: {type: stdout, bucket: x}}]":                                                                       "belongs to type s3",
		"checkpoint: {type: file}\nsinks: [{name: a, destination: {type: stdout}}]":                                                        "checkpoint.type: file needs another sink",
	} {
		p, _, stderr := newProgram(nil)
		file := settings(t, fmt.Sprintf("source: {type: file, paths: [%q], stream: cam}\n%s\n", demo, sinks))
		if code := p.execute([]string{"run", file}); code != exitConfig || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: code %d: %s", sinks, code, stderr)
		}
	}
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"validate", settings(t, "source: {streams: [a, b]}\nsinks: [{name: a, destination: {type: stdout}}]\n")}); code != exitConfig || !strings.Contains(stderr.String(), "standard output takes one stream") {
		t.Errorf("two streams: code %d: %s", code, stderr)
	}
	for _, name := range []string{"-", "/dev/stdout"} {
		if _, said, code := piped(t, []string{"run", "--sink", "destination=stdout", "--summary", name, demo}, "cat"); code != exitUsage || !strings.Contains(said, "writes to standard output") {
			t.Errorf("--summary %s: code %d: %s", name, code, said)
		}
	}
}

// TestATerminalGetsNoImages lets script(1) give the program a terminal.
func TestATerminalGetsNoImages(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", os.Args[0]+" run --sink destination=stdout "+demo, "/dev/null")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != exitUsage || !bytes.Contains(out, []byte("is a terminal: pipe it")) {
		t.Errorf("code %d (%v): %.300s", code, err, out)
	}
}
