//go:build cgo

package sandbox

// #include "sandbox.h"
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Child is a child as its parent sees it.
type Child struct {
	// Conn carries messages, which stay whole, in both directions. Reading fails when the child has ended.
	Conn *os.File
	// Shared is the memory that both see.
	Shared []byte

	process *os.Process
	exited  chan struct{}
	state   *os.ProcessState // valid when exited is closed
}

func (c *Child) wait() {
	c.state, _ = c.process.Wait()
	close(c.exited)
}

// Kill ends the child at once, waits for its end, and releases what the parent has of it. It must be called once.
func (c *Child) Kill() {
	_ = c.process.Kill()
	<-c.exited
	_ = c.release()
}

func (c *Child) release() error {
	var err error
	if c.Conn != nil {
		err = c.Conn.Close()
	}
	if c.Shared != nil {
		err = errors.Join(err, unix.Munmap(c.Shared))
		c.Shared = nil
	}
	return err
}

// PID returns the number of the process.
func (c *Child) PID() int { return c.process.Pid }

// Exited is closed when the child has ended.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Death describes the end of a child that has Exited. outside reports whether it was killed by SIGKILL, as the kernel does
// when memory is short: nothing that the child does itself ends it so.
func (c *Child) Death() (how string, outside bool) {
	if c.state == nil {
		return "its end is unknown", false
	}
	status, ok := c.state.Sys().(syscall.WaitStatus)
	return c.state.String(), ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// CPU returns the processor time that the child has used.
func (c *Child) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Pid))
	if err != nil {
		return 0, err
	}
	return cpuOf(text)
}

// cpuOf reads the 14th and 15th field of /proc/PID/stat. The second one is a name in parentheses, which may hold anything.
func cpuOf(stat []byte) (time.Duration, error) {
	const tick = time.Second / 100 // USER_HZ, the same on all of Linux
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has too few fields")
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err, err2)
}

// Mark returns the text that the parent gave to this process, or "" if it is no child.
func Mark() string { return C.GoString(&C.kvsf_sandbox.mark[0]) }

// InForce returns the restrictions of this process, which is a child.
func InForce() Layers {
	return Layers{Seccomp: C.kvsf_sandbox.seccomp != 0, Landlock: int(C.kvsf_sandbox.landlock)}
}

// DieOfFaults makes a fault end this process by its signal, which the parent sees. The Go runtime would print where it happened, which
// nobody reads.
func DieOfFaults() { C.kvsf_default_faults() }

// Line is a child's end of the connection to its parent.
type Line struct {
	// Shared is the memory that both see.
	Shared []byte
}

const lineFD, memoryFD = 3, 4

// Inherited returns what the parent gave to this process, which is a child.
func Inherited(shared int) (*Line, error) {
	memory, err := unix.Mmap(memoryFD, 0, shared, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory of the parent: %w", err)
	}
	return &Line{memory}, nil
}

// Receive waits for a message and returns its size. A message that is longer than b is cut. The size is 0 when the parent has ended.
func (*Line) Receive(b []byte) (int, error) {
	for {
		n, err := unix.Read(lineFD, b)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Send sends a message.
func (*Line) Send(b []byte) error {
	for {
		_, err := unix.Write(lineFD, b)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
