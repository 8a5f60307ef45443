package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal on which the program runs, and what it shows.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	// ended is closed when the program has ended and all of its output is on the screen.
	ended chan struct{}

	mu     sync.Mutex
	screen display
}

// onTerminal starts the program on a terminal of a size.
func onTerminal(t *testing.T, columns, rows int, environ []string, args ...string) *terminal {
	t.Helper()
	master, slave := openTerminal(t)
	term := &terminal{t: t, master: master, ended: make(chan struct{}), screen: display{columns: columns, rows: rows, lines: []string{""}, wraps: true}}
	term.setSize(columns, rows)
	term.cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	term.cmd.Env = append(append(os.Environ(), asProgram+"=1", "TERM=xterm", "NO_COLOR="), environ...)
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close() // the program has it
	go func() {
		defer close(term.ended)
		for buffer := make([]byte, 4096); ; {
			n, err := master.Read(buffer)
			term.mu.Lock()
			term.screen.write(buffer[:n])
			term.mu.Unlock()
			if err != nil { // EIO: nobody has the other end any more
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = term.cmd.Process.Kill()
		<-term.ended
		_ = master.Close()
	})
	return term
}

// openTerminal opens a pseudo-terminal (pts(4)).
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func (term *terminal) setSize(columns, rows int) {
	term.t.Helper()
	size := unix.Winsize{Col: uint16(columns), Row: uint16(rows)}
	if err := unix.IoctlSetWinsize(int(term.master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		term.t.Fatal(err)
	}
}

// resize makes the terminal narrower or wider. It breaks long lines, as most terminals do.
func (term *terminal) resize(columns, rows int) {
	term.mu.Lock()
	defer term.mu.Unlock()
	term.screen.resize(columns, rows)
	term.setSize(columns, rows)
}

// press types a key, such as ^C.
func (term *terminal) press(key string) {
	term.t.Helper()
	if _, err := io.WriteString(term.master, key); err != nil {
		term.t.Fatal(err)
	}
}

// text returns what the terminal shows, with what has been scrolled out.
func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return strings.Join(term.screen.lines, "\n")
}

// until waits until the terminal shows what is wanted.
func (term *terminal) until(wanted func(text string) bool) string {
	term.t.Helper()
	for {
		text := term.text()
		if wanted(text) {
			return text
		}
		select {
		case <-term.ended:
			if text = term.text(); !wanted(text) {
				term.t.Fatalf("the program has ended:\n%s", text)
			}
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// wait waits for the end of the program, and returns its exit code and what is left on the terminal.
func (term *terminal) wait() (code int, text string) {
	term.t.Helper()
	<-term.ended
	err := term.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		term.t.Fatal(err)
	}
	if !term.screen.wraps || term.screen.colored || term.screen.column != 0 {
		term.t.Errorf("the terminal is left with: wraps %v, colored %v, column %d", term.screen.wraps, term.screen.colored, term.screen.column)
	}
	return term.cmd.ProcessState.ExitCode(), term.text()
}

// display is what a terminal of a size shows: lines of at most that many columns, of which the last rows are visible.
type display struct {
	columns, rows int
	lines         []string
	row, column   int // of the cursor; row is the index of a line
	wraps         bool
	colored       bool
	colors        int    // how often a color was set
	commands      int    // how many sequences there were
	pending       string // the beginning of a sequence
}

// write interprets output. Each character has one column.
func (d *display) write(output []byte) {
	text := d.pending + string(output)
	d.pending = ""
	for len(text) > 0 {
		if strings.HasPrefix(text, "\x1b") {
			end := strings.IndexFunc(text[min(2, len(text)):], func(r rune) bool { return r >= '@' })
			if end < 0 {
				d.pending = text
				return
			}
			d.command(text[2:2+end], text[2+end])
			text = text[2+end+1:]
			continue
		}
		if !utf8.FullRuneInString(text) {
			d.pending = text
			return
		}
		r, size := utf8.DecodeRuneInString(text)
		d.put(r)
		text = text[size:]
	}
}

// top returns the index of the first visible line.
func (d *display) top() int { return max(0, len(d.lines)-d.rows) }

func (d *display) command(parameter string, name byte) {
	d.commands++
	switch fmt.Sprintf("%s%c", parameter, name) {
	case "J":
		d.lines = d.lines[:d.row+1]
		d.lines[d.row] = string([]rune(d.lines[d.row])[:d.column])
		return
	case "?7l", "?7h":
		d.wraps = name == 'h'
		return
	}
	n, err := strconv.Atoi(parameter)
	switch {
	case err == nil && name == 'A':
		d.row = max(d.top(), d.row-n)
	case err == nil && name == 'm':
		if d.colored = n != 0; d.colored {
			d.colors++
		}
	default:
		panic(fmt.Sprintf("a sequence that is not known: %q %q", parameter, name))
	}
}

func (d *display) put(r rune) {
	switch r {
	case '\r':
		d.column = 0
		return
	case '\n':
		if d.row++; d.row == len(d.lines) {
			d.lines = append(d.lines, "")
		}
		return
	}
	if d.column == d.columns {
		if !d.wraps {
			return
		}
		d.column = 0
		d.put('\n')
	}
	line := []rune(d.lines[d.row])
	for len(line) <= d.column {
		line = append(line, ' ')
	}
	line[d.column] = r
	d.lines[d.row] = string(line)
	d.column++
}

// resize breaks the lines that are too long. The cursor stays on its line.
func (d *display) resize(columns, rows int) {
	var lines []string
	row := 0
	for i, line := range d.lines {
		if i == d.row {
			row = len(lines)
		}
		rest := []rune(line)
		for len(rest) > columns {
			lines, rest = append(lines, string(rest[:columns])), rest[columns:]
		}
		lines = append(lines, string(rest))
	}
	d.columns, d.rows, d.lines, d.row = columns, rows, lines, row
}
