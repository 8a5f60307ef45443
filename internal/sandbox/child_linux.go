//go:build cgo

package sandbox

// #include "sandbox.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
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
	const process = 2 // the clock of a whole process (CPUCLOCK_SCHED), see clock_getcpuclockid
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^c.process.Pid)<<3|process, &ts); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// Mark returns the text that the parent gave to this process, or "" if it is no child.
func Mark() string { return C.GoString(&C.kvsf_sandbox.mark[0]) }

// InForce returns the restrictions of this process, which is a child.
func InForce() Layers {
	return Layers{Seccomp: C.kvsf_sandbox.seccomp != 0, Landlock: int(C.kvsf_sandbox.landlock)}
}

// OutliveSignals makes this process ignore the requests to stop that its group may get, as from a terminal: the parent ends it.
func OutliveSignals() { signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) }

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
