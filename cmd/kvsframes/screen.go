package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Escape sequences of a terminal (ECMA-48, and DEC's private mode 7): erase what follows the cursor, and stop a long line from wrapping.
const (
	eraseBelow = "\x1b[J"
	wrapOff    = "\x1b[?7l"
	wrapOn     = "\x1b[?7h"
)

// color is a color of text on a terminal (ECMA-48, SGR).
type color int

const (
	plain  color = 0
	red    color = 31
	yellow color = 33
)

// line is one line on a screen.
type line struct {
	text  string
	color color
}

// screen shares a terminal between log lines and lines of progress below them. The cursor is left below these, so that what the terminal
// echoes, or a shell prints after the process was killed, does not go into them.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	width func() int // of the terminal, 0 if unknown; nil is unknown
	lines []line
}

// newScreen returns standard error for log lines and progress. Written text is cleaned; drawn text may control
// the terminal.
func (p *program) newScreen() *screen {
	out := p.stderr
	if w, ok := out.(cleanWriter); ok {
		out = w.to
	}
	s := &screen{out: out}
	if p.size != nil {
		s.width = func() int { columns, _ := p.size(); return columns }
	}
	return s
}

// Write implements io.Writer. It writes whole lines above the lines of progress.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := cleanWriter{s.out}
	if len(s.lines) == 0 {
		return out.Write(text)
	}
	if _, err := io.WriteString(s.out, s.erased()); err != nil {
		return 0, err
	}
	n, err := out.Write(text)
	if err == nil {
		_, err = io.WriteString(s.out, drawn(s.lines))
	}
	return n, err
}

// draw replaces the lines of progress; none removes them. Each must fit the terminal.
func (s *screen) draw(lines []line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(lines) == 0 && len(s.lines) == 0 {
		return
	}
	text := s.erased() + drawn(lines)
	s.lines = lines
	_, _ = io.WriteString(s.out, text) // lost progress does no harm
}

// erased returns what erases the lines. On a terminal that has become narrower, each has been broken into several.
func (s *screen) erased() string {
	if len(s.lines) == 0 {
		return ""
	}
	width := 0
	if s.width != nil {
		width = s.width()
	}
	rows := 0
	for _, l := range s.lines {
		rows++
		if used := columnsOf(l.text); width > 0 && used > width {
			rows += (used - 1) / width
		}
	}
	return fmt.Sprintf("\r\x1b[%dA%s", rows, eraseBelow)
}

// drawn returns what draws lines.
func drawn(lines []line) string {
	if len(lines) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString(wrapOff)
	for _, l := range lines {
		if l.color == plain {
			fmt.Fprintf(&out, "%s\n", l.text)
		} else {
			fmt.Fprintf(&out, "\x1b[%dm%s\x1b[0m\n", l.color, l.text)
		}
	}
	out.WriteString(wrapOn)
	return out.String()
}

// sizeOf returns the size of a terminal; 0 is unknown.
func sizeOf(f *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}
