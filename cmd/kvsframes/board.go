package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

// The size of a terminal whose own size is unknown.
const (
	defaultColumns = 80
	defaultRows    = 24
)

// Sizes of the columns of the board.
const (
	maxNameColumns = 32
	maxNamedSinks  = 3
	// On a wide terminal the board has dates, images and bytes as well.
	wideColumns                     = 120
	leastBarColumns, mostBarColumns = 8, 40
)

// board makes the lines of progress on a terminal: one for each stream, and one for all of them. The zero value is not valid.
type board struct {
	// endless reports whether the streams continue until they are stopped.
	endless, colored bool
	total            *history
	streams          map[string]*history
}

func newBoard(endless, colored bool) *board {
	return &board{endless: endless, colored: colored, streams: map[string]*history{}}
}

// entry is a stream on the board.
type entry struct {
	kvsframes.StreamProgress
	pace
	// trouble describes what hinders the stream now, or why it has failed; "" is nothing.
	trouble string
}

// ended reports whether the run of the stream is over.
func (e entry) ended() bool { return e.Status != pipeline.StatusRunning }

// lines returns the lines. They fit a terminal of the size, with one row left for the cursor: if there are too many streams, those in the worst
// state come first, and the others are counted.
func (b *board) lines(now time.Time, streams []kvsframes.StreamProgress, sinks []kvsframes.SinkProgress, meter *pipeline.Meter, size func() (int, int)) []line {
	columns, rows := size()
	columns, rows = cmp.Or(columns, defaultColumns), cmp.Or(rows, defaultRows)
	entries := b.entries(now, streams)
	last := b.totalLine(now, entries, sinks, meter)
	room := max(0, rows-2) // beside the line of all, and the cursor
	var lines []line
	if len(entries) <= room {
		lines = b.table(entries, columns)
	} else {
		slices.SortStableFunc(entries, worse)
		shown := max(0, room-1)
		lines = b.table(entries[:shown], columns)
		if room > 0 {
			lines = append(lines, folded(entries[shown:], b.endless))
		}
	}
	lines = append(lines, last)
	for i := range lines {
		lines[i].text = cut(cleaned(oneLine(lines[i].text)), columns)
		if !b.colored {
			lines[i].color = plain
		}
	}
	return lines
}

// entries adds to each stream its pace and its trouble.
func (b *board) entries(now time.Time, streams []kvsframes.StreamProgress) []entry {
	entries := make([]entry, len(streams))
	for i, s := range streams {
		h := b.streams[s.Stream]
		if h == nil {
			h = newHistory(reading{at: now, frames: s.Decoded, media: s.Last, share: s.Share})
			b.streams[s.Stream] = h
		}
		e := entry{StreamProgress: s}
		e.pace = h.add(reading{at: now, frames: s.Decoded, media: s.Last, share: s.Share})
		if e.trouble = source.Trouble(s.Reach, now); s.Status == pipeline.StatusFailed {
			e.trouble = "failed: " + s.Error
		}
		entries[i] = e
	}
	return entries
}

// worse orders streams: those in trouble before the others and those that have ended last, then by lag, by what is left to read, and by gaps.
func worse(a, b entry) int {
	rank := func(e entry) int {
		switch {
		case e.trouble != "":
			return 0
		case !e.ended():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Lag, a.Lag), cmp.Compare(a.Share, b.Share), cmp.Compare(b.Gaps, a.Gaps))
}

// folded returns the line of the streams for which there is no room.
func folded(entries []entry, endless bool) line {
	trouble, running := 0, 0
	var lag time.Duration
	for _, e := range entries {
		switch {
		case e.trouble != "":
			trouble++
		case !e.ended():
			running++
		}
		lag = max(lag, e.Lag)
	}
	text := fmt.Sprintf("and %d more: %d running, %d ended", len(entries), running, len(entries)-running-trouble)
	l := line{text: text}
	if endless && running > 0 {
		l.text += ", lag up to " + short(lag)
	}
	if trouble > 0 {
		l = line{text: fmt.Sprintf("%s, %d in trouble", l.text, trouble), color: red}
	}
	return l
}

// table returns a line for each of the streams, with columns that are aligned.
func (b *board) table(entries []entry, columns int) []line {
	names, bar := 0, 0
	for _, e := range entries {
		names = max(names, min(columnsOf(inLine(e.Stream)), maxNameColumns, columns/5))
		if e.Share > 0 {
			bar = leastBarColumns
		}
	}
	wide, beside := columns >= wideColumns, 56 // what a line has beside its name and its bar
	if wide {
		beside = 110
	}
	if bar > 0 {
		bar = max(bar, min(mostBarColumns, columns-names-beside))
	}
	lines := make([]line, len(entries))
	for i, e := range entries {
		name := cut(inLine(e.Stream), names)
		cells := []string{name + strings.Repeat(" ", names-columnsOf(name))}
		if bar > 0 {
			cells = append(cells, barOf(e, bar))
		}
		cells = append(cells, position(e.Last, wide))
		lines[i] = line{text: strings.Join(append(cells, b.state(e, wide)), "  "), color: colorOf(e)}
	}
	return lines
}

func colorOf(e entry) color {
	switch {
	case e.trouble != "":
		return red
	case e.Gaps > 0:
		return yellow
	}
	return plain
}

// barOf returns a bar of a number of columns, and the part in percent; spaces if the end of the stream is not known.
func barOf(e entry, columns int) string {
	const beside = len("[] 100%")
	if e.Share == 0 || e.ended() {
		return strings.Repeat(" ", columns+beside)
	}
	full := int(e.Share * float64(columns))
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("=", full), strings.Repeat(" ", columns-full), int(e.Share*100))
}

// position returns a place on the clock of the media.
func position(at time.Time, wide bool) string {
	layout := "15:04:05Z"
	if wide {
		layout = "2006-01-02 15:04:05.0Z"
	}
	if at.IsZero() {
		return fmt.Sprintf("%-*s", len(layout), "-")
	}
	return at.UTC().Format(layout)
}

// state returns the end of a stream's line: how fast it is read and when that ends or how far it is behind, or its trouble, or how it ended.
func (b *board) state(e entry, wide bool) string {
	gaps := ""
	if e.Gaps > 0 {
		gaps = "  " + number(e.Gaps, "gap")
	}
	counts := fmt.Sprintf("%d frames, %d images, %s", e.Decoded, e.Written, byteCount(e.BytesRead))
	switch {
	case e.trouble != "":
		return e.trouble + gaps
	case e.ended():
		return fmt.Sprintf("%s: %s%s", ending(e.Status), counts, gaps)
	}
	speed, where := "", ""
	if e.speed > 0 {
		speed = fmt.Sprintf("%.1fx", e.speed)
	}
	switch {
	case e.left > 0:
		where = "ETA " + short(e.left)
	case b.endless:
		where = "lag " + short(e.Lag)
	}
	text := fmt.Sprintf("%8s %6s  %-9s", perSecond(e.fps), speed, where)
	if wide {
		text += "  " + counts
	}
	return text + gaps
}

// ending returns how a stream ended.
func ending(s pipeline.Status) string {
	if s == pipeline.StatusComplete || s == pipeline.StatusGaps {
		return "done"
	}
	return string(s)
}

// totalLine returns the line of all streams and of the sinks.
func (b *board) totalLine(now time.Time, entries []entry, sinks []kvsframes.SinkProgress, meter *pipeline.Meter) line {
	var l line
	var parts []string
	for _, s := range sinks {
		if trouble := source.Trouble(s.Reach, now); trouble != "" {
			parts = append(parts, "sink "+s.Sink+" "+trouble)
		} else if s.Failed {
			parts = append(parts, "sink "+s.Sink+" failed")
		}
	}
	if len(parts) > 0 {
		l.color = red
	}
	var frames, gaps, bytes int64
	trouble := 0
	for _, e := range entries {
		frames, gaps, bytes = frames+e.Decoded, gaps+e.Gaps, bytes+e.BytesRead
		if e.trouble != "" {
			trouble++
		}
	}
	if b.total == nil {
		b.total = newHistory(reading{at: now, frames: frames})
	}
	rate := b.total.add(reading{at: now, frames: frames})
	if len(entries) > 1 {
		text := number(int64(len(entries)), "stream")
		if trouble > 0 {
			text += fmt.Sprintf(", %d in trouble", trouble)
		}
		parts = append(parts, text, perSecond(rate.fps))
		if gaps > 0 {
			parts = append(parts, number(gaps, "gap"))
		}
	}
	parts = append(parts, imagesOf(sinks), number(frames, "frame"), byteCount(bytes))
	if text := latency(meter); text != "" {
		parts = append(parts, text)
	}
	l.text = strings.Join(parts, " | ")
	return l
}

// imagesOf returns the number of images of each sink, or the total if there are many sinks.
func imagesOf(sinks []kvsframes.SinkProgress) string {
	var each []string
	var total int64
	for _, s := range sinks {
		total += s.Written
		each = append(each, cut(s.Sink, maxNameColumns)+": "+number(s.Written, "image"))
	}
	if len(sinks) > maxNamedSinks {
		return fmt.Sprintf("%d sinks: %s", len(sinks), number(total, "image"))
	}
	return strings.Join(each, ", ")
}

// number returns a number of things.
func number(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// short formats a duration for a person, in at most three digits of its two largest units: 1.2s, 12s, 3m05s, 2h10m, 3d04h.
func short(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
