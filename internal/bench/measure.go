package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample holds the measurements of one process.
type sample struct {
	// Wall and CPU are in seconds; CPU is user and system time together.
	Wall, CPU float64
	// RSS is the largest resident memory, in bytes.
	RSS int64
	// Error describes how the process failed, or is empty.
	Error string
	// foreign is the share of the machine's processor time that other processes used.
	foreign float64
}

// command is a process to start.
type command struct {
	args  []string
	env   []string
	stdin io.Reader
}

// measure runs a command from start to end. Until a child executes its program, it reports its parent's
// resident memory as its own. So a small process starts the command: this program again (see measured).
func measure(c command) sample {
	exe, err := os.Executable()
	if err != nil {
		return sample{Error: err.Error()}
	}
	cmd := exec.Command(exe, append([]string{measuredArg}, c.args...)...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = c.stdin
	before := machineTime()
	out, err := cmd.Output()
	after := machineTime()
	var s sample
	if err := errors.Join(err, json.Unmarshal(out, &s)); err != nil {
		return sample{Error: fmt.Sprintf("measure: %v", err)}
	}
	if total := after.total - before.total; total > 0 {
		s.foreign = max(0, (after.busy-before.busy-s.CPU)/total)
	}
	return s
}

const measuredArg = "measured"

// measured is the small process: it runs a command and writes the measurements.
func measured(args []string, w io.Writer) error {
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Stdin = os.Stdin
	began := time.Now()
	err := cmd.Run()
	s := sample{Wall: time.Since(began).Seconds()}
	if state := cmd.ProcessState; state != nil {
		s.CPU = (state.UserTime() + state.SystemTime()).Seconds()
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			s.RSS = usage.Maxrss << 10
		}
	}
	if err != nil {
		s.Error = fmt.Sprintf("%v: %s", err, lastLine(stderr.String()))
	}
	return json.NewEncoder(w).Encode(s)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// cpuTime is the time of all processors together since the machine started, in seconds.
type cpuTime struct{ busy, total float64 }

// machineTime reads the processors' time (proc(5), /proc/stat, in units of 1/100 s).
func machineTime() cpuTime {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTime{}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var t cpuTime
	for i, field := range strings.Fields(line) {
		n, err := strconv.ParseFloat(field, 64)
		// user nice system idle iowait irq softirq steal; user includes guests.
		if err != nil || i > 8 {
			continue
		}
		t.total += n / 100
		if i != 4 && i != 5 {
			t.busy += n / 100
		}
	}
	return t
}
