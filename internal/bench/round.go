package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// contender is one program with one setting in one case.
type contender struct {
	name string
	// exact reports whether its pictures must equal ours.
	exact bool
	// run returns the command to start; it writes pictures to the folder out.
	run func(b *bench, clip, out string) command

	samples []sample
	// pictures is the number of files, bytes their total size.
	pictures int
	bytes    int64
	failure  string
}

// testCase is one task for the programs.
type testCase struct {
	name, title string
	clips       []string
	// goals are ratios to the best exact setting, by clip.
	goals map[string]float64
	ours  func(b *bench, clip, out string) command
	peers []contender
	// same compares the pictures, once and untimed; nil compares nothing.
	same func(b *bench, clip string) error
	// before determines what our run needs, once and untimed.
	before func(b *bench, clip string) error
	// grouped reports whether our files hold several pictures, so that their number states nothing.
	grouped bool
}

// near is the largest ratio to the best time in the first round with which a setting stays in.
const near = 1.1

// one runs one case on one clip and adds its lines to the table.
func (b *bench) one(c testCase, name, clip string) error {
	fmt.Fprintf(os.Stderr, "bench: %s: %s\n", c.name, name)
	for _, prepare := range []func(*bench, string) error{c.same, c.before} {
		if prepare == nil {
			continue
		}
		if err := prepare(b, clip); err != nil {
			return fmt.Errorf("%s: %s: %w", c.name, name, err)
		}
	}
	ours := &contender{name: "kvsframes", exact: true, run: c.ours}
	peers := make([]*contender, 0, len(c.peers))
	for _, p := range c.peers {
		if p.run(b, clip, "").args[0] != "" { // an empty name: not installed
			peers = append(peers, &p)
		}
	}
	b.trial(ours, clip)
	for _, p := range peers {
		b.trial(p, clip)
		if p.failure == "" && p.exact && !c.grouped && p.pictures > 1 && p.pictures != ours.pictures {
			p.failure = fmt.Sprintf("%d pictures, not %d", p.pictures, ours.pictures)
		}
	}
	// The first round warms the caches and drops slow settings; it does not count.
	racing := contenders(peers)
	for _, p := range racing {
		p.samples = nil
	}
	ours.samples = nil
	for range b.rounds {
		b.trial(ours, clip)
		if ours.failure != "" {
			b.note("%s: %s: kvsframes failed: %s", c.name, name, ours.failure)
			return fmt.Errorf("%s: %s: %s", c.name, name, ours.failure)
		}
		for _, p := range racing {
			b.trial(p, clip)
		}
	}
	b.table.add(c, name, ours, peers)
	return nil
}

// contenders returns the peers to run in every round: of the exact settings of a program those near the best,
// and all others.
func contenders(peers []*contender) (racing []*contender) {
	best := map[string]float64{}
	program := func(p *contender) string {
		return strings.FieldsFunc(p.name, func(r rune) bool { return r == ' ' || r == ',' })[0]
	}
	for _, p := range peers {
		if p.failure == "" && p.exact {
			if wall := p.samples[0].Wall; best[program(p)] == 0 || wall < best[program(p)] {
				best[program(p)] = wall
			}
		}
	}
	for _, p := range peers {
		if p.failure == "" && (!p.exact || p.samples[0].Wall <= near*best[program(p)]) {
			racing = append(racing, p)
		}
	}
	return racing
}

// trial runs a contender once.
func (b *bench) trial(c *contender, clip string) {
	if c.failure != "" {
		return
	}
	out, err := b.emptyFolder("out")
	if err != nil {
		c.failure = err.Error()
		return
	}
	s := measure(c.run(b, clip, out))
	if s.Error != "" {
		c.failure = s.Error
		return
	}
	c.samples = append(c.samples, s)
	b.foreign = append(b.foreign, s.foreign)
	if c.pictures, c.bytes, err = count(out); err != nil {
		c.failure = err.Error()
	}
}

// emptyFolder creates an empty folder in the scratch folder.
func (b *bench) emptyFolder(name string) (string, error) {
	folder := filepath.Join(b.scratch, name)
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	return folder, os.Mkdir(folder, 0o700)
}

// count returns the number and the total size of the pictures in a folder.
func count(folder string) (n int, size int64, err error) {
	for _, path := range pictures(folder) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, 0, err
		}
		n++
		size += info.Size()
	}
	return n, size, nil
}

// pictures returns the paths of the pictures in a folder, sorted by name. The name of an unfinished file
// starts with a dot.
func pictures(folder string) (paths []string) {
	entries, _ := os.ReadDir(folder) // it may not exist yet
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	return paths
}

// median returns the median of values, 0 without values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// of returns one figure of all samples.
func of(samples []sample, figure func(sample) float64) (out []float64) {
	for _, s := range samples {
		out = append(out, figure(s))
	}
	return out
}

func wall(s sample) float64   { return s.Wall }
func cpu(s sample) float64    { return s.CPU }
func memory(s sample) float64 { return float64(s.RSS) / 1e6 }

// paired returns the median of the rounds' ratios of the peer's figure to ours.
func paired(ours, peer []sample, figure func(sample) float64) float64 {
	var ratios []float64
	for i := range min(len(ours), len(peer)) {
		ratios = append(ratios, figure(peer[i])/figure(ours[i]))
	}
	return median(ratios)
}
