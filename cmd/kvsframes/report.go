package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes"
)

// printReport writes the report as a table that fits a terminal of width columns; 0 is no terminal.
func printReport(w io.Writer, r *kvsframes.Report, width int) error {
	table := wideTable(r)
	if width > 0 && slices.ContainsFunc(table, func(line string) bool { return utf8.RuneCountInString(line) > width }) {
		table = narrowTable(r)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n%s\n", inLine(cmp.Or(r.File, r.Stream)), strings.Join(table, "\n"))
	for _, g := range r.Gaps {
		fmt.Fprintf(&out, "gap after fragment %d: %s %s\n", g.After, inLine(g.FragmentNumber), inLine(oneLine(g.Reason)))
	}
	if r.Stream != "" {
		fmt.Fprintf(&out, "lag: %s\n", lagOf(r))
	}
	fmt.Fprintf(&out, "total: %d fragments, %d video frames, %d key frames, %s of video, %d bytes, %d gaps, %d cut\n",
		r.Totals.Fragments, r.Totals.VideoFrames, r.Totals.KeyFrames, time.Duration(r.Totals.DurationMS)*time.Millisecond, r.Totals.Bytes, r.Totals.Gaps, r.Totals.Cut)
	_, err := io.WriteString(w, out.String())
	return err
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
// content with the server's clock relative to the producer's, and the notes.
func narrowTable(r *kvsframes.Report) []string {
	heads, rows := []string{"FRAGMENT\tPRODUCER"}, []string{"  CODEC\tSIZE\tFRAMES\tKEY\tGOP\tFPS\tTIME\tBYTES\tSERVER\tTAGS"}
	for _, f := range r.Fragments {
		server := "-"
		if f.ServerTime != nil && f.ProducerTime != nil {
			server = f.ServerTime.Sub(*f.ProducerTime).String()
		}
		heads = append(heads, inLine(f.FragmentNumber)+"\t"+clock(f.ProducerTime))
		rows = append(rows, fmt.Sprintf("  %s\t%dx%d\t%d\t%d\t%d\t%.2f\t%s\t%d\t%s\t%d",
			inLine(f.Codec), f.Width, f.Height, f.VideoFrames, f.KeyFrames, f.GOPFrames, f.FrameRate, time.Duration(f.DurationMS)*time.Millisecond, f.Bytes, server, len(f.Tags)))
	}
	heads, rows = aligned(heads), aligned(rows)
	var lines []string
	for i := range heads {
		if lines = append(lines, heads[i], rows[i]); i > 0 && len(r.Fragments[i-1].Notes) > 0 {
			lines = append(lines, "  "+inLine(strings.Join(r.Fragments[i-1].Notes, ", ")))
		}
	}
	return lines
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
