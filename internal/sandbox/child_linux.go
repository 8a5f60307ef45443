//go:build cgo

package sandbox

// #include "sandbox.h"
import "C"

// Mark returns the text that the parent gave to this process, or "" if it is no child.
func Mark() string { return C.GoString(&C.kvsf_sandbox.mark[0]) }

// InForce returns the restrictions of this process, which is a child.
func InForce() Layers {
	return Layers{Seccomp: C.kvsf_sandbox.seccomp != 0, Landlock: int(C.kvsf_sandbox.landlock)}
}
