//go:build cgo

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Launcher starts children. They end with the thread that starts them, so one thread starts all and lives until Close.
type Launcher struct {
	requests chan request
	done     chan struct{}
}

type request struct {
	mark           string
	memory, shared int64
	reply          chan reply
}

type reply struct {
	child *Child
	err   error
}

// NewLauncher returns a launcher, which must be closed.
func NewLauncher() *Launcher {
	l := &Launcher{make(chan request), make(chan struct{})}
	go l.serve()
	return l
}

func (l *Launcher) serve() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	defer close(l.done)
	for r := range l.requests {
		c, err := start(r)
		if err != nil {
			err = fmt.Errorf("start child: %w", err)
		}
		r.reply <- reply{c, err}
	}
}

// Close ends the children that are left.
func (l *Launcher) Close() {
	close(l.requests)
	<-l.done
}

// Start starts this program again as a child with a mark: at most 63 letters. Its data takes at most memory bytes, or any
// number if it is 0. Parent and child share memory of shared bytes, whose size neither can change.
func (l *Launcher) Start(mark string, memory, shared int64) (*Child, error) {
	r := request{mark, memory, shared, make(chan reply, 1)}
	l.requests <- r
	got := <-r.reply
	return got.child, got.err
}

func start(r request) (c *Child, err error) {
	if unlimited {
		r.memory = 0
	}
	c = &Child{exited: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.release())
		}
	}()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return c, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "child's socket")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[0], true); err != nil { // so that reading can have a deadline
		return c, errors.Join(err, unix.Close(fds[0]))
	}
	c.Conn = os.NewFile(uintptr(fds[0]), "socket")
	memory, err := share(r.shared)
	if err != nil {
		return c, err
	}
	defer memory.Close()
	if c.Shared, err = unix.Mmap(int(memory.Fd()), 0, int(r.shared), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return c, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return c, err
	}
	defer null.Close()
	c.process, err = os.StartProcess("/proc/self/exe", []string{"kvsframes-" + r.mark}, &os.ProcAttr{
		Dir: "/", Env: []string{fmt.Sprintf("KVSFRAMES_SANDBOX=%s:%d", r.mark, r.memory)}, Files: []*os.File{null, null, null, theirs, memory},
	})
	if err != nil {
		return c, err
	}
	go c.wait()
	return c, nil
}

// share returns memory that can be mapped by several processes, and whose size cannot change: a child that cut it off would end the
// parent as soon as that reads it.
func share(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("kvsframes", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "memory")
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
