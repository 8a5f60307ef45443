package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// holes is a source of gaps: lost fragments, and holes between two of them. Each ten thousandth is a fragment.
type holes struct {
	script
	n    int
	at   int
	heap [2]uint64 // in use after a tenth, and at the end
}

func (h *holes) Next(context.Context) (*media.Fragment, error) {
	switch h.at {
	case h.n / 10:
		h.heap[0] = inUse()
	case h.n:
		h.heap[1] = inUse()
		return nil, io.EOF
	}
	h.at++
	number := fmt.Sprintf("%09d", h.at)
	if h.at%10_000 == 0 {
		return &media.Fragment{Stream: "cam", Number: number, MKV: make([]byte, 100)}, nil
	}
	g := media.Gap{Stream: "cam", FrameIndex: media.WholeFragment, Reason: media.GapOutage, Detail: "a hole"}
	if h.at%2 == 0 {
		g.FragmentNumber, g.Reason, g.Detail = number, media.GapMissing, "lost"
	}
	return nil, &media.GapError{Gap: g, Err: errors.New(g.Detail)}
}

// inUse returns the size of the heap that is in use.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// counted is a store that only counts what is put.
type counted struct {
	*sink.Mem
	puts, bytes atomic.Int64
}

func (c *counted) Put(_ context.Context, _ string, body []byte, _ sink.PutOptions) error {
	c.puts.Add(1)
	c.bytes.Add(int64(len(body)))
	return nil
}

// TestTheMemoryOfARunDoesNotGrowWithItsGaps plays as many gaps as a run of months may have.
func TestTheMemoryOfARunDoesNotGrowWithItsGaps(t *testing.T) {
	n := 100_000
	if soaktest.Soaking() {
		n = 10_000_000
	}
	config := sink.DefaultConfig()
	config.Name = "a"
	store := &counted{Mem: sink.NewMem()}
	s, err := sink.New(config, store, sink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	src := &holes{n: n}
	got, err := Run(t.Context(), Stream{Name: "cam", Source: src, Planner: &fan{sinks: []string{"a"}}, Sinks: []Sink{s.NewWriter()}}, quiet())
	gaps := n - n/10_000
	if err != nil || got.Gaps != gaps || got.Fragments != n/10_000 || len(got.GapList) != MaxListedGaps {
		t.Errorf("%d gaps, %d listed, %d fragments, %v", got.Gaps, len(got.GapList), got.Fragments, err)
	}
	if puts, each := store.puts.Load(), store.bytes.Load()/store.puts.Load(); puts != int64(gaps) || each > 20_000 {
		t.Errorf("%d parts of %d bytes were put, want %d of less than 20,000", puts, each, gaps)
	}
	const slack = 1 << 20
	if src.heap[1] > src.heap[0]+slack {
		t.Errorf("%d bytes in use after %d gaps, %d after %d", src.heap[0], n/10, src.heap[1], n)
	}
	t.Logf("%d bytes in use after %d gaps, %d after %d", src.heap[0], n/10, src.heap[1], n)
}
