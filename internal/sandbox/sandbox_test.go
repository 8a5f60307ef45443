//go:build linux && cgo

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
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
		_, _ = io.WriteString(pipe, tried(number(pipe)))
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
		fd := uintptr(number(pipe))
		_, _ = fmt.Fprintf(pipe, "%d variables, secret %q, descriptor: %v",
			len(os.Environ()), os.Getenv("AWS_SECRET_ACCESS_KEY"), call(syscall.SYS_FCNTL, fd, syscall.F_GETFD))
	case "wait":
		OutliveSignals()
		_, _ = io.WriteString(pipe, "here")
		_, _ = io.Copy(pipe, pipe)
		select {}
	case "busy":
		for n := 0; n >= 0; n++ {
		}
	}
	os.Exit(0)
}

// number reads a number, which is one message.
func number(r io.Reader) int {
	b := make([]byte, 32)
	n, _ := r.Read(b)
	v, _ := strconv.Atoi(string(b[:n]))
	return v
}

// tried returns what became of all attempts and of what a child may do, a line each.
func tried(parent int) string {
	var out strings.Builder
	fmt.Fprintf(&out, "in force: %s\n", InForce())
	for _, a := range attempts {
		if err := a.do(parent); !errors.Is(err, syscall.EPERM) {
			fmt.Fprintf(&out, "not refused: %s (%v)\n", a.name, err)
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

// child starts a child with a mark, sends it a message, and returns what it writes and how it ends.
func child(t *testing.T, mark string, memory int64, input string) (out, how string) {
	t.Helper()
	l := NewLauncher()
	defer l.Close()
	c, err := l.Start(mark, memory, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	_, _ = io.WriteString(c.Conn, input)
	for b := make([]byte, 4096); ; {
		n, err := c.Conn.Read(b)
		out += string(b[:n])
		if err != nil {
			break
		}
	}
	<-c.Exited()
	how, _ = c.Death()
	return out, how
}

func TestAChildCanComputeAndNothingElse(t *testing.T) {
	out, how := child(t, "attempts", 0, strconv.Itoa(os.Getpid()))
	t.Log(out)
	if how != "exit status 0" || !strings.HasSuffix(out, "done\n") || strings.Contains(out, "not refused") {
		t.Errorf("%s: %s", how, out)
	}
	const createRuleset, version = 444, 1 // landlock_create_ruleset(2)
	_, _, lacks := syscall.Syscall(createRuleset, 0, 0, version)
	if !strings.Contains(out, "seccomp") || strings.Contains(out, "landlock") != (lacks == 0) {
		t.Errorf("the kernel's answer about Landlock is %v, the child is restricted by %s", lacks, out)
	}
}

func TestAnyOtherCallEndsTheChild(t *testing.T) {
	if out, how := child(t, "unknown", 0, ""); how != "signal: bad system call" || out != "" {
		t.Errorf("%s: %s", how, out)
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
	out, how := child(t, "environment", 0, strconv.Itoa(int(fd)))
	if want := `1 variables, secret "", descriptor: bad file descriptor`; out != want || how != "exit status 0" {
		t.Errorf("%s: %s, want %s", how, out, want)
	}
}

// TestAChildEndsWithTheThreadThatStartedIt stands for the end of the parent, of which that thread is a part.
func TestAChildEndsWithTheThreadThatStartedIt(t *testing.T) {
	l := NewLauncher()
	c, err := l.Start("wait", 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	if _, err := io.ReadFull(c.Conn, make([]byte, len("here"))); err != nil {
		t.Fatal(err)
	}
	l.Close()
	<-c.Exited()
	if how, outside := c.Death(); !outside {
		t.Error(how)
	}
}

func TestTheSizeOfSharedMemoryCannotChange(t *testing.T) {
	f, err := share(8192)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int64{0, 4096, 1 << 20} {
		if err := f.Truncate(size); err == nil {
			t.Errorf("it is cut to %d bytes", size)
		}
	}
}

func TestProcessorTimeOfAChildIsKnown(t *testing.T) {
	l := NewLauncher()
	defer l.Close()
	c, err := l.Start("busy", 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for last, steps := time.Duration(0), 0; steps < 3; {
		used, err := c.CPU()
		if err != nil || used < last {
			t.Fatalf("%s after %s, error %v", used, last, err)
		}
		if used > last {
			last, steps = used, steps+1
		}
	}
	c.Kill()
	if _, err := c.CPU(); err == nil {
		t.Error("a process that is gone has a clock")
	}
}

func TestAChildOutlivesTheSignalsOfItsGroup(t *testing.T) {
	l := NewLauncher()
	defer l.Close()
	c, err := l.Start("wait", 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	b := make([]byte, 16)
	if _, err := c.Conn.Read(b); err != nil {
		t.Fatal(err)
	}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(c.PID(), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Conn.Read(b); err != nil || string(b[:n]) != "x" {
		t.Errorf("%q, %v", b[:n], err)
	}
}
