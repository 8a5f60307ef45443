package main

import (
	"crypto/md5" // ffmpeg writes MD5; forgery is no concern here
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// decodedFrames returns the MD5 of every frame that our decode stage returns, in order.
func (b *bench) decodedFrames(clip string, workers int) ([]string, error) {
	out, err := output(command{args: []string{b.decoder}, env: decoderEnv(clip, workers, true)})
	return strings.Fields(out), err
}

// sameFrames compares every decoded frame, with one, two and eight workers, with ffmpeg's.
func (b *bench) sameFrames(clip string) error {
	theirs, err := b.ffmpegFrames(clip, nil, "null")
	if err != nil {
		return err
	}
	for _, workers := range []int{1, 2, 8} {
		ours, err := b.decodedFrames(clip, workers)
		if err != nil {
			return err
		}
		if err := same(ours, theirs); err != nil {
			return fmt.Errorf("%d workers: %w", workers, err)
		}
	}
	return nil
}

// sameSampled compares the frames that a sampler picks, in full size, with those of a filter of ffmpeg.
func (b *bench) sameSampled(clip, sampling string, input []string, filter string) error {
	var ours []string
	err := b.eachPicture(program(sampling, "type: raw, pixel_format: yuv420p"), clip, func(_ string, data []byte) error {
		ours = append(ours, fmt.Sprintf("%x", md5.Sum(data)))
		return nil
	})
	if err != nil {
		return err
	}
	theirs, err := b.ffmpegFrames(clip, input, filter)
	if err != nil {
		return err
	}
	return same(ours, theirs)
}

// ffmpegFrames returns the MD5 of every frame that ffmpeg returns, in order.
func (b *bench) ffmpegFrames(clip string, input []string, filter string) ([]string, error) {
	c := ffmpeg(-1, input, func(string) []string {
		return []string{"-vf", filter, "-fps_mode", "passthrough", "-f", "framemd5", "-"}
	})
	out, err := output(c.run(b, clip, ""))
	var sums []string
	for line := range strings.Lines(out) {
		if fields := strings.Split(strings.TrimSpace(line), ","); len(fields) == 6 && !strings.HasPrefix(line, "#") {
			sums = append(sums, strings.TrimSpace(fields[5]))
		}
	}
	return sums, err
}

// same returns an error that describes where two lists of frames differ.
func same(ours, theirs []string) error {
	if slices.Equal(ours, theirs) {
		return nil
	}
	if len(ours) != len(theirs) {
		return fmt.Errorf("%w: %d frames of ours, %d of ffmpeg", errDiffers, len(ours), len(theirs))
	}
	n, first := 0, -1
	for i := range ours {
		if ours[i] != theirs[i] {
			if n++; first < 0 {
				first = i
			}
		}
	}
	return fmt.Errorf("%w: %d of %d frames, the first is %d", errDiffers, n, len(ours), first)
}

// eachPicture runs a command that is not measured, and calls use with the name and content of each of its pictures.
func (b *bench) eachPicture(run func(b *bench, clip, out string) command, clip string, use func(name string, data []byte) error) error {
	out, err := b.emptyFolder("pictures")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	if _, err := output(run(b, clip, out)); err != nil {
		return err
	}
	for _, path := range pictures(out) {
		data, err := os.ReadFile(path)
		if err == nil {
			err = use(filepath.Base(path), data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// output runs a command that is not measured and returns its output.
func output(c command) (string, error) {
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	var text, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w: %s", cmd.Args[0], err, lastLine(stderr.String()))
	}
	return text.String(), nil
}
