//go:build cgo

package sandbox

import (
	"fmt"
	"os"
	"runtime"
)

// Launcher starts children. They end with the thread that starts them, so one thread starts all and lives until Close.
type Launcher struct {
	requests chan request
	done     chan struct{}
}

type request struct {
	mark   string
	memory int64
	files  []*os.File
	reply  chan reply
}

type reply struct {
	process *os.Process
	err     error
}

// NewLauncher returns a launcher, which must be closed.
func NewLauncher() *Launcher {
	l := &Launcher{make(chan request), make(chan struct{})}
	go l.serve()
	return l
}

func (l *Launcher) serve() {
	runtime.LockOSThread() // and the thread ends with the goroutine
	defer close(l.done)
	for r := range l.requests {
		p, err := start(r)
		r.reply <- reply{p, err}
	}
}

// Close ends the children that are left.
func (l *Launcher) Close() {
	close(l.requests)
	<-l.done
}

// Start starts this program again as a child with a mark: letters that do not contain a colon, at most 63. Its data takes at
// most memory bytes, or any number if it is 0. The files are its descriptors from 3 on, two at most; nothing else is passed on.
func (l *Launcher) Start(mark string, memory int64, files ...*os.File) (*os.Process, error) {
	r := request{mark, memory, files, make(chan reply, 1)}
	l.requests <- r
	got := <-r.reply
	return got.process, got.err
}

func start(r request) (*os.Process, error) {
	if unlimited {
		r.memory = 0
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	defer null.Close()
	p, err := os.StartProcess("/proc/self/exe", []string{"kvsframes-" + r.mark}, &os.ProcAttr{
		Dir: "/", Env: []string{fmt.Sprintf("KVSFRAMES_SANDBOX=%s:%d", r.mark, r.memory)}, Files: append([]*os.File{null, null, null}, r.files...),
	})
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	return p, nil
}
