package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table collects the results of the comparison.
type table struct {
	lines []string
	// short are the most important lines (see shown).
	short []string
	notes []string
	// quality is the quality of our full-size JPEGs.
	quality int
	memory  []string
}

// shown lists the clips of each case in the short table, by the name of the case.
var shown = map[string][]string{
	"a": {gop2s, hevc},
	"b": {gop2s, hevc},
	"c": {gop1s, gop2s, gop10s, hevc},
	"d": {short},
	"e": {short},
}

// shortHead is the head of the short table.
const shortHead = "| Task | Clip | kvsframes, s | ffmpeg's best exact setting, s | ffmpeg / kvsframes |\n|---|---|---|---|---|\n"

// add adds the lines of one case on one clip: ours, the reference, the others.
func (t *table) add(c testCase, clip string, ours *contender, peers []*contender) {
	reference := best(peers)
	slices.SortStableFunc(peers, func(a, b *contender) int { return rank(a, reference) - rank(b, reference) })
	line := func(p *contender, ratio, goal, met string) {
		size, cpus := "", ""
		if p.bytes > 0 {
			size = fmt.Sprintf("%.1f", float64(p.bytes)/1e6)
		}
		if p != ours {
			cpus = fmt.Sprintf("%.2f", paired(ours.samples, p.samples, cpu))
		}
		t.lines = append(t.lines, fmt.Sprintf("| %s | %s | %s | %d | %.2f | %.2f | %.0f | %s | %s | %s | %s | %s |", c.title, clip, p.name, len(p.samples),
			median(of(p.samples, wall)), median(of(p.samples, cpu)), median(of(p.samples, memory)), size, ratio, cpus, goal, met))
	}
	line(ours, "", "", "")
	for _, p := range peers {
		if p.failure != "" {
			t.lines = append(t.lines, fmt.Sprintf("| %s | %s | %s | | | | | | failed: %s | | | |", c.title, clip, p.name, strings.ReplaceAll(p.failure, "|", "/")))
			continue
		}
		ratio := paired(ours.samples, p.samples, wall)
		text, want, met := fmt.Sprintf("%.2f", ratio), "", ""
		if p == reference {
			if slices.Contains(shown[c.name], clip) {
				t.short = append(t.short, fmt.Sprintf("| %s | %s | %.2f | %.2f | %s |", c.title, clip, median(of(ours.samples, wall)), median(of(p.samples, wall)), text))
			}
			text = "**" + text + "**"
			if g := c.goals[clip]; g > 0 {
				want, met = fmt.Sprintf("%.1f", g), yes(ratio >= g)
			}
		}
		line(p, text, want, met)
	}
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}

// best returns the fastest exact setting of ffmpeg.
func best(peers []*contender) (fastest *contender) {
	for _, p := range peers {
		if p.failure == "" && p.exact && strings.HasPrefix(p.name, "ffmpeg") && (fastest == nil || median(of(p.samples, wall)) < median(of(fastest.samples, wall))) {
			fastest = p
		}
	}
	return fastest
}

func rank(p, reference *contender) int {
	switch {
	case p == reference:
		return 0
	case p.failure == "":
		return 1
	default:
		return 2
	}
}

// report formats all results.
func (b *bench) report() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d cores, %s, %s, %s; %d rounds.", b.workers, processor(), runtime.GOARCH, time.Now().UTC().Format(time.DateOnly), b.rounds)
	if len(b.foreign) > 0 {
		fmt.Fprintf(&out, " Other processes took %.0f %% of the cores during a timed run (median), %.0f %% at most.", 100*median(b.foreign), 100*slices.Max(b.foreign))
	}
	out.WriteString("\n")
	if len(b.table.short) > 0 {
		out.WriteString("\n" + shortHead + strings.Join(b.table.short, "\n") + "\n\nAll contenders, clips and memory:\n")
	}
	if len(b.table.lines) > 0 {
		out.WriteString("\n| Case | Clip | Program | n | wall s | cpu s | peak MB | pictures MB | their wall / ours | their cpu / ours | goal | met |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
		out.WriteString(strings.Join(b.table.lines, "\n") + "\n")
	}
	if len(b.table.memory) > 0 {
		out.WriteString("\n| What | Result | Goal | Met |\n|---|---|---|---|\n")
		out.WriteString(strings.Join(b.table.memory, "\n") + "\n")
	}
	for _, n := range b.table.notes {
		out.WriteString("\n- " + n)
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// processor returns the name of the processor.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// The table is between these lines in the docs.
const (
	tableBegin = "<!-- make bench writes from here -->"
	tableEnd   = "<!-- to here -->"
)

// replaceTable replaces the text between the two lines of a file.
func replaceTable(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(data), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		return fmt.Errorf("%s lacks %q or %q", path, tableBegin, tableEnd)
	}
	return os.WriteFile(path, []byte(before+tableBegin+"\n\n"+text+"\n"+tableEnd+after), 0o644)
}
