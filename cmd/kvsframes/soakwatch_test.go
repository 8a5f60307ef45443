package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vitals are what a process holds at one moment.
type vitals map[string]float64

// The names of vitals.
const (
	vitalMemory     = "resident memory, bytes"
	vitalFiles      = "file descriptors"
	vitalGoroutines = "goroutines"
	vitalObjects    = "objects of libav"
)

// vitalsOf returns the vitals of a process and its children, and of what its metrics tell. It returns nil while there are no metrics.
func vitalsOf(pid int, metrics string) vitals {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(metrics)
	if err != nil {
		return nil // it has not begun to serve them, or has ended
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	v := vitals{}
	for line := range strings.Lines(string(page)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "kvsframes_goroutines":
			v[vitalGoroutines] = n
		case name == "kvsframes_decode_objects":
			v[vitalObjects] = n
		}
	}
	for _, pid := range family(pid) {
		files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // a child may have ended
		v[vitalMemory] += float64(resident(pid))
		v[vitalFiles] += float64(len(files))
	}
	return v
}

// family returns a process and all its descendants.
func family(pid int) []int {
	all := []int{pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is valid
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(all, family(n)...)
			}
		}
	}
	return all
}

// apart are the differences between the first third and the last that are not allowed.
//
// A run needs a while until it holds what it will hold, so the first sixth of the samples does not count. Each third counts as its
// median, since sessions that end, pictures that wait and the garbage collector move single samples up and down. Growth is what is
// looked for: it may be this share, or as much as a few connections are, which come and go by chance.
func apart(samples []vitals, share float64) (problems []string) {
	if len(samples) < 6 {
		return []string{fmt.Sprintf("there are %d samples", len(samples))}
	}
	samples = samples[len(samples)/6:]
	third, objects := len(samples)/3, 0.0
	if share > 0.05 { // of a few samples, a decoder or two more or less in the middle one
		objects = 20
	}
	for name, few := range map[string]float64{vitalMemory: 0, vitalFiles: 4, vitalGoroutines: 8, vitalObjects: objects} {
		first, last := median(samples[:third], name), median(samples[len(samples)-third:], name)
		if last-first > math.Max(first*share, few) {
			problems = append(problems, fmt.Sprintf("%s: %.0f in the first third, %.0f in the last", name, first, last))
		}
	}
	slices.Sort(problems)
	return problems
}

func median(samples []vitals, name string) float64 {
	var all []float64
	for _, v := range samples {
		all = append(all, v[name])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func TestGrowthIsToldFromNoise(t *testing.T) {
	for name, test := range map[string]struct {
		memory func(i int) float64
		files  func(i int) float64
		want   []string
	}{
		"all stays":                  {func(int) float64 { return 100e6 }, func(int) float64 { return 50 }, nil},
		"up and down":                {func(i int) float64 { return 100e6 + float64(i%10)*5e6 }, func(i int) float64 { return 50 + float64(i%7) }, nil},
		"much at the start":          {func(i int) float64 { return min(100e6, float64(i)*3e6) }, func(int) float64 { return 50 }, nil},
		"a little more":              {func(i int) float64 { return 100e6 + float64(i)*1e4 }, func(int) float64 { return 50 }, nil},
		"memory that is never freed": {func(i int) float64 { return 100e6 + float64(i)*5e4 }, func(int) float64 { return 50 }, []string{"resident memory, bytes: 104550000 in the first third, 112900000 in the last"}},
		"files that are not closed":  {func(int) float64 { return 100e6 }, func(i int) float64 { return 50 + float64(i/30) }, []string{"file descriptors: 53 in the first third, 58 in the last"}},
	} {
		var samples []vitals
		for i := range 300 {
			samples = append(samples, vitals{vitalMemory: test.memory(i), vitalFiles: test.files(i)})
		}
		if got := apart(samples, 0.05); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestTooFewSamplesTellNothing(t *testing.T) {
	if got := apart(make([]vitals, 5), 0.05); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestTheVitalsAreThoseOfAProcess(t *testing.T) {
	if v := vitalsOf(os.Getpid(), "http://127.0.0.1:1/metrics"); v != nil {
		t.Errorf("without metrics: %v", v)
	}
	if all := family(os.Getpid()); all[0] != os.Getpid() {
		t.Errorf("a process is not in its family: %v", all)
	}
}
