package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kvsframes/kvsframes"
)

// printReport writes the report so that it fits a terminal of width columns; 0 is no terminal.
func printReport(w io.Writer, r *kvsframes.Report, width int) error {
	table := wideTable(r)
	if !fits(table, width) {
		table = narrowTable(r, width)
	}
	lines := []string{inLine(cmp.Or(r.File, r.Stream))}
	for _, line := range table {
		lines = append(lines, folds(line, width, foldIndent)...)
	}
	for _, g := range r.Gaps {
		lines = append(lines, folds(fmt.Sprintf("gap after fragment %d: %s %s", g.After, inLine(g.FragmentNumber), inLine(oneLine(g.Reason))), width, foldIndent)...)
	}
	if r.Stream != "" {
		lines = append(lines, folds("lag: "+lagOf(r), width, foldIndent)...)
	}
	t := r.Totals
	lines = append(lines, folds(fmt.Sprintf("total: %d fragments, %d video frames, %d key frames, %s of video, %d bytes, %d gaps, %d cut",
		t.Fragments, t.VideoFrames, t.KeyFrames, time.Duration(t.DurationMS)*time.Millisecond, t.Bytes, t.Gaps, t.Cut), width, foldIndent)...)
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// foldIndent is how far the rest of a line of a report is indented.
const foldIndent = 3

// fits reports whether all lines fit a terminal of width columns; 0 is no terminal.
func fits(lines []string, width int) bool {
	return width == 0 || !slices.ContainsFunc(lines, func(line string) bool { return columnsOf(line) > width })
}

// folds breaks a line between words so that it fits a terminal of width columns; 0 is no terminal. What follows is indented by so many columns. A word that is
// too long stays whole.
func folds(line string, width, indent int) []string {
	if fits([]string{line}, width) {
		return []string{line}
	}
	words := strings.Split(line, " ")
	var lines []string
	used := words[0]
	for _, word := range words[1:] {
		if strings.TrimSpace(used) != "" && columnsOf(used)+1+columnsOf(word) > width {
			lines = append(lines, used)
			used = strings.Repeat(" ", indent) + word
			continue
		}
		used += " " + word
	}
	return append(lines, used)
}

// wideTable returns a table with one line for each fragment.
func wideTable(r *kvsframes.Report) []string {
	rows := []string{"FRAGMENT\tPRODUCER\tSERVER\tCODEC\tSIZE\tFRAMES\tKEY\tGOP\tFPS\tDURATION\tBYTES\tTAGS\tNOTES"}
	for _, f := range r.Fragments {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%dx%d\t%d\t%d\t%d\t%.2f\t%s\t%d\t%d\t%s",
			inLine(f.FragmentNumber), clock(f.ProducerTime), clock(f.ServerTime), inLine(f.Codec), f.Width, f.Height, f.VideoFrames, f.KeyFrames, f.GOPFrames,
			f.FrameRate, time.Duration(f.DurationMS)*time.Millisecond, f.Bytes, len(f.Tags), inLine(strings.Join(f.Notes, ", "))))
	}
	return aligned(rows)
}

// narrowTable returns a table with several lines for each fragment: the number and the producer's clock, the
// content with the server's clock relative to the producer's, and the notes. If the content does not fit the width, codec and size have a line
// of their own.
func narrowTable(r *kvsframes.Report, width int) []string {
	heads, codecs, rows := []string{"FRAGMENT\tPRODUCER"}, []string{"  CODEC\tSIZE"}, []string{"FRAMES\tKEY\tGOP\tFPS\tTIME\tBYTES\tSERVER\tTAGS"}
	for _, f := range r.Fragments {
		server := "-"
		if f.ServerTime != nil && f.ProducerTime != nil {
			server = f.ServerTime.Sub(*f.ProducerTime).String()
		}
		heads = append(heads, inLine(f.FragmentNumber)+"\t"+clock(f.ProducerTime))
		codecs = append(codecs, fmt.Sprintf("  %s\t%dx%d", inLine(f.Codec), f.Width, f.Height))
		rows = append(rows, fmt.Sprintf("%d\t%d\t%d\t%.2f\t%s\t%d\t%s\t%d",
			f.VideoFrames, f.KeyFrames, f.GOPFrames, f.FrameRate, time.Duration(f.DurationMS)*time.Millisecond, f.Bytes, server, len(f.Tags)))
	}
	parts := [][]string{joined(codecs, rows)}
	if !fits(parts[0], width) {
		for i := range rows {
			rows[i] = "  " + rows[i]
		}
		parts = [][]string{aligned(codecs), aligned(rows)}
	}
	parts = append([][]string{aligned(heads)}, parts...)
	var lines []string
	for i := range heads {
		for _, part := range parts {
			lines = append(lines, part[i])
		}
		if i > 0 && len(r.Fragments[i-1].Notes) > 0 {
			lines = append(lines, "  "+inLine(strings.Join(r.Fragments[i-1].Notes, ", ")))
		}
	}
	return lines
}

// joined returns the lines of two tables beside each other.
func joined(left, right []string) []string {
	rows := make([]string, len(left))
	for i := range rows {
		rows[i] = left[i] + "\t" + right[i]
	}
	return aligned(rows)
}

// aligned returns rows of cells that end with tabs as lines with aligned columns.
func aligned(rows []string) []string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(rows, "\n"))
	t.Flush() // a strings.Builder returns no error
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// lagOf returns how far the last fragment is behind the newest one of the stream.
func lagOf(r *kvsframes.Report) string {
	if len(r.Fragments) == 0 {
		return "unknown, no fragment has arrived (--start EARLIEST reads stored ones)"
	}
	last := r.Fragments[len(r.Fragments)-1].LagMS
	if last == nil {
		return "unknown"
	}
	return (time.Duration(*last) * time.Millisecond).String()
}

func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
