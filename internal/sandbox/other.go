//go:build !linux || !cgo

package sandbox

import (
	"errors"
	"os"
)

// Mark returns "": there are no children on this system.
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
func (*Launcher) Start(string, int64, ...*os.File) (*os.Process, error) {
	return nil, errors.ErrUnsupported
}
