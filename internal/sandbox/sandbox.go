// Package sandbox runs a part of a program in a child process that can do nothing but compute: it has the files that
// it was started with, and can open, connect, start or signal nothing.
//
// The child is the program itself, started again with a mark in its environment. A constructor in C finds the mark
// and locks the process down before the Go runtime starts, so that every thread inherits the restrictions: no new
// privileges, an end with its parent, limits of resources, Landlock without any right, and a filter of system calls.
// What the child does then is up to an init function that asks Mark: it must not return, so that the program's main
// never runs in a child.
package sandbox

import "fmt"

// Layers are the restrictions that are in force in a child.
type Layers struct {
	// Seccomp reports whether system calls are filtered.
	Seccomp bool
	// Landlock is the kernel's version of Landlock, 0 if it is not in force.
	Landlock int
}

// String names the layers, for logs.
func (l Layers) String() string {
	switch {
	case l.Seccomp && l.Landlock > 0:
		return fmt.Sprintf("process, landlock (version %d), seccomp", l.Landlock)
	case l.Seccomp:
		return "process, seccomp"
	case l.Landlock > 0:
		return fmt.Sprintf("process, landlock (version %d)", l.Landlock)
	}
	return "process"
}
