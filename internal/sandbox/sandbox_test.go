//go:build linux && cgo

package sandbox

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// attempts are what a child must not do. Each returns the error that it met.
var attempts = []struct {
	name string
	do   func(parent int) error
}{
	{"open a file", func(int) error { return opened("/etc/passwd", syscall.O_RDONLY) }},
	{"create a file", func(int) error { return opened("/tmp/kvsframes-sandbox-test", syscall.O_CREAT|syscall.O_WRONLY) }},
	{"open a socket", func(int) error { _, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); return err }},
	{"connect", func(int) error { return syscall.Connect(3, &syscall.SockaddrUnix{Name: "/run/x"}) }},
	{"exec", func(int) error { return syscall.Exec("/proc/self/exe", []string{"x"}, nil) }},
	{"fork", func(int) error {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if errno == 0 && pid == 0 {
			syscall.Exit(0) // the new process
		}
		return failure(errno)
	}},
	{"ptrace", func(parent int) error { return call(syscall.SYS_PTRACE, syscall.PTRACE_ATTACH, uintptr(parent)) }},
	{"kill", func(parent int) error { return syscall.Kill(parent, 0) }},
	{"signal a thread of another process", func(parent int) error {
		return call(syscall.SYS_TGKILL, uintptr(parent), uintptr(parent), 0)
	}},
	{"make memory executable", func(int) error {
		_, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		return err
	}},
	{"set a limit", func(int) error {
		l := syscall.Rlimit{}
		return call(syscall.SYS_PRLIMIT64, 0, syscall.RLIMIT_CORE, uintptr(unsafe.Pointer(&l)))
	}},
}

func opened(path string, flags int) error {
	_, err := syscall.Open(path, flags, 0o600)
	return err
}

func call(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	_, _, errno := syscall.RawSyscall6(number, args[0], args[1], args[2], 0, 0, 0)
	return failure(errno)
}

func failure(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// The test program is its own child: what it does is in its mark.
func init() {
	pipe := os.NewFile(3, "pipe")
	switch Mark() {
	case "":
		return
	case "attempts":
		var parent int
		_, _ = fmt.Fscan(pipe, &parent)
		_, _ = io.WriteString(pipe, tried(parent))
	case "memory":
		kept := make([][]byte, 0, 64)
		for range cap(kept) {
			kept = append(kept, make([]byte, 32<<20))
		}
		_, _ = fmt.Fprintf(pipe, "%d", len(kept))
	case "unknown":
		_ = call(syscall.SYS_SYNC)
		_, _ = io.WriteString(pipe, "sync")
	case "environment":
		var fd uintptr
		_, _ = fmt.Fscan(pipe, &fd)
		_, _ = fmt.Fprintf(pipe, "%d variables, secret %q, descriptor: %v",
			len(os.Environ()), os.Getenv("AWS_SECRET_ACCESS_KEY"), call(syscall.SYS_FCNTL, fd, syscall.F_GETFD))
	case "wait":
		_, _ = io.WriteString(pipe, "here")
		_, _ = io.Copy(io.Discard, pipe) // until the other end is closed, unless the parent ends before
		select {}
	}
	os.Exit(0)
}

// tried returns what became of all attempts and of what a child may do, a line each.
func tried(parent int) string {
	var out strings.Builder
	fmt.Fprintf(&out, "in force: %s\n", InForce())
	for _, a := range attempts {
		if err := a.do(parent); err == nil {
			fmt.Fprintf(&out, "not refused: %s\n", a.name)
		}
	}
	// Threads, memory and the collector work.
	done := make(chan int)
	for i := range 4 {
		go func() {
			runtime.LockOSThread()
			time.Sleep(time.Millisecond)
			done <- len(make([]byte, 8<<20)) + i
		}()
	}
	for range 4 {
		<-done
	}
	runtime.GC()
	out.WriteString("done\n")
	return out.String()
}

// child starts a child with a mark, writes to it, and returns what it writes and how it ends.
func child(t *testing.T, mark string, memory int64, input string) (string, *os.ProcessState) {
	t.Helper()
	l := NewLauncher()
	defer l.Close()
	ours, theirs := pair(t)
	p, err := l.Start(mark, memory, theirs)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	_, _ = io.WriteString(ours, input)
	out, _ := io.ReadAll(ours)
	state, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return string(out), state
}

func pair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

func TestAChildCanComputeAndNothingElse(t *testing.T) {
	out, state := child(t, "attempts", 0, fmt.Sprintln(os.Getpid()))
	t.Log(out)
	if !state.Success() || !strings.HasSuffix(out, "done\n") || strings.Contains(out, "not refused") {
		t.Errorf("%v: %s", state, out)
	}
	if !strings.Contains(out, "seccomp") || !strings.Contains(out, "landlock") {
		t.Errorf("this system cannot show it: %s", out)
	}
}

func TestAnyOtherCallEndsTheChild(t *testing.T) {
	out, state := child(t, "unknown", 0, "")
	if status := state.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGSYS || out != "" {
		t.Errorf("%v: %s", state, out)
	}
}

func TestNothingIsPassedOnToAChild(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	const high = 20
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	// Not closed on exec, as a library in C might leave it.
	fd, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, null.Fd(), syscall.F_DUPFD, high)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer syscall.Close(int(fd))
	out, state := child(t, "environment", 0, fmt.Sprintln(fd))
	if want := `1 variables, secret "", descriptor: bad file descriptor`; out != want || !state.Success() {
		t.Errorf("%v: %s, want %s", state, out, want)
	}
}

// TestAChildEndsWithTheThreadThatStartedIt stands for the end of the parent, of which that thread is a part.
func TestAChildEndsWithTheThreadThatStartedIt(t *testing.T) {
	l := NewLauncher()
	ours, theirs := pair(t)
	p, err := l.Start("wait", 0, theirs)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if _, err := io.ReadFull(ours, make([]byte, len("here"))); err != nil {
		t.Fatal(err)
	}
	l.Close()
	state, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if status := state.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Error(state)
	}
}
