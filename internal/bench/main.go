// Bench compares kvsframes with other programs that turn video into pictures, on this machine, and writes the
// results as a Markdown table. build/bench.sh starts it.
//
// Every figure is measured from outside, for a whole process. The contenders run in turn, round after round. A
// ratio is the median over the rounds, each relative to our run in the same round. The reference is the fastest
// of a program's settings that give exactly the same pictures.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

func main() {
	do := run
	if len(os.Args) > 2 && os.Args[1] == measuredArg {
		do = func() error { return measured(os.Args[2:], os.Stdout) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the comparison.
type bench struct {
	program, decoder, ffmpeg, python, script, gstreamer string
	clips, recordings, demo                             string
	cases, only                                         []string
	rounds, workers                                     int

	scratch string
	table   table
	// foreign holds, for every run, the share of the machine that other processes used.
	foreign []float64
}

// errDiffers is the error for two programs that both claim exact pictures but differ.
var errDiffers = errors.New("pictures that must be the same differ")

func run() error {
	b := &bench{workers: runtime.NumCPU()}
	var cases, only, docs string
	flag.StringVar(&b.program, "program", "", "kvsframes")
	flag.StringVar(&b.decoder, "decoder", "", "the test program of package decode")
	flag.StringVar(&b.ffmpeg, "ffmpeg", "", "ffmpeg's command line")
	flag.StringVar(&b.python, "python", "", "a Python that has PyAV and Pillow; empty: none")
	flag.StringVar(&b.script, "script", "", "the script for this Python")
	flag.StringVar(&b.gstreamer, "gstreamer", "", "gst-launch-1.0; empty: none")
	flag.StringVar(&b.clips, "clips", "", "the folder of clips")
	flag.StringVar(&b.recordings, "recordings", "", "a folder of recordings to run as well; empty: none")
	flag.StringVar(&b.demo, "demo", "", "the demo's recording")
	flag.StringVar(&cases, "cases", "", "which cases to run, by letter or name, separated by commas; empty: all")
	flag.StringVar(&only, "only", "", "which clips to run, by name, separated by commas; empty: all")
	flag.IntVar(&b.rounds, "rounds", 5, "how many rounds")
	flag.StringVar(&docs, "docs", "", "the file whose table is replaced; empty: only print")
	flag.Parse()
	b.cases, b.only = list(cases), list(only)
	if b.rounds < 1 {
		return fmt.Errorf("%d rounds", b.rounds)
	}
	for _, name := range b.cases {
		if !slices.Contains(names, name) {
			return fmt.Errorf("there is no case %q: use some of %s", name, strings.Join(names, ", "))
		}
	}
	var err error
	if b.scratch, err = os.MkdirTemp("", "kvsframes-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.scratch)
	failed := b.all()
	text := b.report()
	fmt.Println(text)
	if docs != "" && !errors.Is(failed, errDiffers) {
		failed = errors.Join(failed, replaceTable(docs, text))
	}
	return failed
}

// names are the names of all cases. Only build/bench.sh uses "go".
var names = []string{"a", "b", "c", "d", "e", "f", "g", "h", "recordings", "first", "live", "capacity", "raw", "flat", "go"}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// all runs every requested case. It ends at once where pictures differ, and reports other failures at the end.
func (b *bench) all() (failed error) {
	for _, c := range cases {
		if !b.wants(c.name) {
			continue
		}
		for _, clip := range c.clips {
			if len(b.only) > 0 && !slices.Contains(b.only, clip) {
				continue
			}
			failed = errors.Join(failed, b.one(c, clip, filepath.Join(b.clips, clip+".mkv")))
			if errors.Is(failed, errDiffers) {
				return failed
			}
		}
	}
	failed = errors.Join(failed, b.recorded())
	if errors.Is(failed, errDiffers) {
		return failed
	}
	return errors.Join(failed, b.figures())
}

func (b *bench) wants(name string) bool {
	return len(b.cases) == 0 || slices.Contains(b.cases, name)
}

// recorded runs the recordings of real cameras: it compares their frames, and measures the total time.
func (b *bench) recorded() error {
	if b.recordings == "" || !b.wants("recordings") {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(b.recordings, "*.mkv"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".mkv")
		frames, err := b.decodedFrames(path, b.workers)
		if err != nil {
			return fmt.Errorf("recording %s: %w", name, err)
		}
		if len(frames) == 0 {
			b.note("recording %s has no video that can be decoded: left out", name)
			continue
		}
		c := cases[0]
		c.goals = nil
		if err := b.one(c, name, path); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintln(os.Stderr, "bench:", text)
	b.table.notes = append(b.table.notes, text)
}
