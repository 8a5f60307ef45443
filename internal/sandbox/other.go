//go:build !linux || !cgo

package sandbox

import (
	"errors"
	"os"
	"time"
)

// Child is a child as its parent sees it. There is none on this system.
type Child struct {
	Conn   *os.File
	Shared []byte
}

// Kill does nothing.
func (*Child) Kill() {}

// PID returns 0.
func (*Child) PID() int { return 0 }

// Exited returns nil.
func (*Child) Exited() <-chan struct{} { return nil }

// Death returns nothing.
func (*Child) Death() (how string, outside bool) { return "", false }

// CPU returns errors.ErrUnsupported.
func (*Child) CPU() (time.Duration, error) { return 0, errors.ErrUnsupported }

// Mark returns "": no process on this system is a child.
func Mark() string { return "" }

// InForce returns nothing.
func InForce() Layers { return Layers{} }

// Launcher starts nothing on this system.
type Launcher struct{}

// NewLauncher returns a launcher.
func NewLauncher() *Launcher { return &Launcher{} }

// Close does nothing.
func (*Launcher) Close() {}

// Start returns errors.ErrUnsupported.
func (*Launcher) Start(string, int64, int64) (*Child, error) { return nil, errors.ErrUnsupported }

// OutliveSignals does nothing.
func OutliveSignals() {}

// DieOfFaults does nothing.
func DieOfFaults() {}

// Line is a child's end of the connection to its parent.
type Line struct{ Shared []byte }

// Inherited returns errors.ErrUnsupported.
func Inherited(int) (*Line, error) { return nil, errors.ErrUnsupported }

// Receive returns errors.ErrUnsupported.
func (*Line) Receive([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Send returns errors.ErrUnsupported.
func (*Line) Send([]byte) error { return errors.ErrUnsupported }
