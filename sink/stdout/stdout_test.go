package stdout

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// newPipe returns a store that writes to a pipe, and the end that reads it.
func newPipe(t *testing.T, flags int) (*pipe, *os.File) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(ends[1], flags&unix.O_NONBLOCK != 0); err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(ends[0]), "reader")
	t.Cleanup(func() {
		reader.Close()
		unix.Close(ends[1])
	})
	return &pipe{fd: ends[1]}, reader
}

// TestAPipeGetsAllBytes through pipes that block and pipes that do not: a parent process may have set either.
func TestAPipeGetsAllBytes(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcde"), 100_000)
	for _, flags := range []int{0, unix.O_NONBLOCK} {
		p, reader := newPipe(t, flags)
		got := make(chan []byte)
		go func() {
			all, err := io.ReadAll(io.LimitReader(reader, int64(len(want))))
			if err != nil {
				t.Error(err)
			}
			got <- all
		}()
		if err := p.Put(t.Context(), "", want[:1234], sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Write(t.Context(), want[1234:]); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(<-got, want) {
			t.Error("the reader gets other bytes")
		}
	}
}

func TestAWriteThatWaitsEndsWithItsContext(t *testing.T) {
	p, _ := newPipe(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Write(ctx, make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the context's error", err)
	}
}

func TestAReaderThatHasClosedIsNoFailureOfThePipe(t *testing.T) {
	p, reader := newPipe(t, 0)
	reader.Close()
	if err := p.Write(t.Context(), []byte("x")); !errors.Is(err, media.ErrReaderClosed) || sink.Passing(err) {
		t.Errorf("%v, want %v", err, media.ErrReaderClosed)
	}
}

// TestAFullDiskIsWaitedFor: the body that is written again goes on where it was.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	p, reader := newPipe(t, 0)
	fd := p.fd
	if err := p.Write(t.Context(), []byte("ab")); err != nil {
		t.Fatal(err)
	}
	p.fd, p.written = int(full.Fd()), 1
	if err := p.Write(t.Context(), []byte("cd")); !sink.Passing(err) {
		t.Errorf("%v is not passing", err)
	}
	p.fd = fd
	if err := p.Write(t.Context(), []byte("cd")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "abd" {
		t.Errorf("%q (%v), want what was not written yet", got, err)
	}
}
