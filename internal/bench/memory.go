package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	liveStreams = 50
	// liveGoal is in MB.
	liveGoal = 150.0
)

// figures runs the cases that yield one figure each. A failed case has a line too.
func (b *bench) figures() (failed error) {
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"first", b.firstPicture},
		{"live", b.liveKeyFrames},
		{"capacity", b.capacity},
		{"raw", b.rawFullSize},
		{"flat", b.manyFragments},
	} {
		if !b.wants(c.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", c.name)
		if err := c.run(); err != nil {
			b.row("%s", "failed: %s", "", "no", c.name, strings.ReplaceAll(err.Error(), "|", "/"))
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return failed
}

// liveKeyFrames reads many live streams in one process, and compares its memory with that of one ffmpeg
// process for each stream.
func (b *bench) liveKeyFrames() error {
	s, images, err := b.live(liveStreams, gop2s, "type: keyframes")
	if err != nil {
		return err
	}
	private, err := b.ffmpegPrivate()
	if err != nil {
		return err
	}
	mb := memory(s)
	b.row("live: %d live 1080p streams (fragments of 2 s) for a minute in one process, key frames at 320 pixels (%d pictures)", "%.0f MB resident at the peak, %.2f of a core",
		fmt.Sprintf("under %.0f MB", liveGoal), yes(mb < liveGoal), liveStreams, images, mb, s.CPU/s.Wall)
	b.row("live: the same with %d processes of ffmpeg -threads 1 (private memory of 3 at work, %.1f MB each, times %d)", "%.0f MB, %.1f times as much", "", "",
		liveStreams, private, liveStreams, private*liveStreams, private*liveStreams/mb)
	return nil
}

// capacity finds the number of live streams for which the machine can make one picture a second.
func (b *bench) capacity() error {
	alone, _, err := b.live(1, short, everySecondOfOurs)
	if err != nil {
		return err
	}
	const lag, step = 1.0, 4 // seconds behind, of 20; streams
	good, bad := 0, 0
	var most sample
	for n := 16; bad == 0 || bad-good > step; {
		s, _, err := b.live(n, short, everySecondOfOurs)
		if err != nil {
			return err
		}
		behind := s.Wall - alone.Wall
		fmt.Fprintf(os.Stderr, "bench: capacity: %d streams end %.2f s behind, %.2f cores, %.0f MB\n", n, behind, s.CPU/s.Wall, memory(s))
		if behind < lag {
			good, most = n, s
		} else {
			bad = n
		}
		if n = 2 * good; bad > 0 {
			n = good + (bad-good)/(2*step)*step
			if n == good {
				n += step
			}
		}
		if n == bad || n == 0 {
			break
		}
	}
	b.row("capacity: live 1080p streams (fragments of 2 s) of which this machine carries one exact 320-pixel picture a second, the emulator running beside it (less than %.0f s behind after 20 s)",
		"%d streams; %.0f MB resident at the peak, %.2f cores", "", "", lag, good, memory(most), most.CPU/max(most.Wall, 1))
	return nil
}

const everySecondOfOurs = "type: interval, interval: 1s"

// rawFullSize writes every frame of one stream in full size.
func (b *bench) rawFullSize() error {
	out, err := b.emptyFolder("out")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	s := measure(program("type: all", "type: raw, pixel_format: yuv420p")(b, filepath.Join(b.clips, short+".mkv"), out))
	if s.Error != "" {
		return errors.New(s.Error)
	}
	b.row("raw: every frame of one 1080p stream as raw yuv420p, in full size and in order (%.0f frames a second)", "%.0f MB resident at the peak",
		fmt.Sprintf("under %.0f MB", liveGoal), yes(memory(s) < liveGoal), 600/s.Wall, memory(s))
	return nil
}

// manyFragments reads the demo's recording repeatedly as one stream on standard input, and measures the
// growth of resident memory.
func (b *bench) manyFragments() error {
	const fragments, each = 10000, 7
	recording, err := os.ReadFile(b.demo)
	if err != nil {
		return err
	}
	out, err := b.emptyFolder("out")
	if err != nil {
		return err
	}
	cmd := exec.Command(b.program, "run", b.settings(fileSource("-"), out, "type: keyframes", "resize: {width: 320}"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var tenths [10][]float64
	// The pipe holds little, so the bytes written are about the bytes read.
	const loops = (fragments + each - 1) / each
	for i := range loops {
		if _, err = stdin.Write(recording); err != nil {
			break
		}
		if i%4 == 0 {
			tenths[i*10/loops] = append(tenths[i*10/loops], resident(cmd.Process.Pid))
		}
	}
	err = errors.Join(err, stdin.Close(), cmd.Wait())
	if err != nil {
		return fmt.Errorf("%w: %s", err, lastLine(stderr.String()))
	}
	for i, tenth := range tenths {
		fmt.Fprintf(os.Stderr, "bench: flat: tenth %d: %.1f MB\n", i+1, median(tenth))
	}
	second, last := median(tenths[1]), median(tenths[9])
	b.row("flat: %d fragments of one stream; resident memory (median) in the second tenth %.1f MB, in the last", "%.1f MB, %+.1f MB", "flat (within 2 MB)",
		yes(last-second < 2), loops*each, second, last, last-second)
	return nil
}

// resident returns the resident memory of a process, in MB.
func resident(pid int) float64 { return procSum(pid, "status", "VmRSS:") }

// procSum sums the lines of a file in /proc that start with one of the names, in MB.
func procSum(pid int, file string, names ...string) (mb float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)) // a process that has ended has no such file
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		for _, name := range names {
			if len(fields) > 1 && fields[0] == name {
				kib, _ := strconv.ParseFloat(fields[1], 64)
				mb += kib * 1024 / 1e6
			}
		}
	}
	return mb
}

// ffmpegPrivate returns the private memory of an ffmpeg process that makes a picture of each key frame of a
// clip at playing speed, in MB: the peak, averaged over three processes.
func (b *bench) ffmpegPrivate() (float64, error) {
	const processes, ticks = 3, 75 // of 200 ms
	out, err := b.emptyFolder("out")
	if err != nil {
		return 0, err
	}
	var running []*exec.Cmd
	defer func() {
		for _, cmd := range running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	for range processes {
		c := ffmpeg(1, []string{"-re", "-skip_frame", "nokey"}, jpegs("scale=320:-2:flags=area", "-y")).run(b, filepath.Join(b.clips, gop2s+".mkv"), out)
		cmd := exec.Command(c.args[0], c.args[1:]...)
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		running = append(running, cmd)
	}
	peaks := make([]float64, processes)
	for range ticks {
		time.Sleep(200 * time.Millisecond)
		for i, cmd := range running {
			peaks[i] = max(peaks[i], procSum(cmd.Process.Pid, "smaps_rollup", "Private_Clean:", "Private_Dirty:"))
		}
	}
	var sum float64
	for _, p := range peaks {
		sum += p
	}
	return sum / processes, nil
}

// live reads a clip as many live streams from the emulator, at recording speed, and returns the measurements of
// the process and the number of pictures.
func (b *bench) live(streams int, clip, sampling string) (sample, int, error) {
	out, err := b.emptyFolder("out")
	if err != nil {
		return sample{}, 0, err
	}
	args := []string{"emulate", "--listen", "127.0.0.1:0", "--pace", "realtime"}
	for i := range streams {
		args = append(args, fmt.Sprintf("cam-%03d=%s", i, filepath.Join(b.clips, clip+".mkv")))
	}
	emulator := exec.Command(b.program, args...)
	first, err := emulator.StdoutPipe()
	if err != nil {
		return sample{}, 0, err
	}
	if err := emulator.Start(); err != nil {
		return sample{}, 0, err
	}
	defer func() {
		_ = emulator.Process.Signal(os.Interrupt)
		_ = emulator.Wait()
	}()
	url, err := bufio.NewReader(first).ReadString('\n')
	if err != nil {
		return sample{}, 0, fmt.Errorf("start emulator: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, first) }()
	fragments := map[string]int{gop2s: 30, short: 10}[clip]
	from := fmt.Sprintf("streams: ['cam-*'], endpoint_url: %q, start_selector: {type: EARLIEST}, end: {fragments: %d}", strings.TrimSpace(url), fragments)
	s := measure(command{args: []string{b.program, "run", b.settings(from, out, sampling, "resize: {width: 320}")}, env: emulated})
	if s.Error != "" {
		return s, 0, errors.New(s.Error)
	}
	n, _, err := count(out)
	if want := streams * fragments; err == nil && n < want {
		err = fmt.Errorf("%d pictures, want %d", n, want)
	}
	return s, n, err
}

// emulated is the environment of a program that uses the emulator.
var emulated = []string{
	"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
	"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "NO_PROXY=127.0.0.1",
}
