package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// firstPicture measures the time from the start of a program to the first picture of a recording, in 1080p and
// in 640x360: key frames, 320 wide.
func (b *bench) firstPicture() error {
	if err := b.firstPictureOf("a 1080p recording", filepath.Join(b.clips, gop1s+".mkv")); err != nil {
		return err
	}
	return b.firstPictureOf("the demo's recording, 640x360", b.demo)
}

func (b *bench) firstPictureOf(name, clip string) error {
	const runs, limit = 4, 50.0 // times the rounds; ms

	ours := program("type: keyframes", "resize: {width: 320}")
	var first []float64
	for range runs * b.rounds {
		out, err := b.emptyFolder("out")
		if err != nil {
			return err
		}
		ms, err := untilPicture(ours(b, clip, out), out)
		if err != nil {
			return err
		}
		first = append(first, ms)
	}
	b.row("first: from start to the first picture of "+name+" (median of %d)", "%.0f ms", "under 50 ms", yes(median(first) < limit),
		len(first), median(first))
	return nil
}

// row adds a line about one figure; args are the arguments of what, then those of result.
func (b *bench) row(what, result, goal, met string, args ...any) {
	b.table.memory = append(b.table.memory, fmt.Sprintf("| "+what+" | "+result+" | "+goal+" | "+met+" |", args...))
}

// untilPicture starts a program and returns the time in ms until the folder has a picture that is not empty. It
// waits for the program to end.
func untilPicture(c command, folder string) (ms float64, err error) {
	cmd := exec.Command(c.args[0], c.args[1:]...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(time.Millisecond / 2)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return 0, errors.Join(errors.New("the program ended before a picture was seen"), err)
		case <-ticker.C:
		}
		for _, path := range pictures(folder) {
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				ms = time.Since(began).Seconds() * 1000
				return ms, <-ended
			}
		}
	}
}
