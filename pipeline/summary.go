package pipeline

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// Summary is what a run of one stream came to. Its JSON is the stream's part of
// the file that `run --summary` writes.
type Summary struct {
	// Fragments is the number of fragments that were read and brought to an end.
	Fragments int `json:"fragments"`
	// FramesDecoded is the number of frames that the decoders gave.
	FramesDecoded int `json:"frames_decoded"`
	// FramesConcealed is the number of samples that were delivered although parts of them are
	// guessed, since data or a reference is missing.
	FramesConcealed int `json:"frames_concealed"`
	// FramesWritten is the number of durable images by sink.
	FramesWritten map[string]int `json:"frames_written"`
	// BytesRead is the number of payload bytes that were read.
	BytesRead int64 `json:"bytes_read"`
	// Gaps are the fragments and frames that could not be delivered.
	Gaps []Gap `json:"gaps"`
	// Reconnects is the number of times the source opened its stream again.
	Reconnects int `json:"reconnects"`
	// Pauses is the number of times that the producer's clock jumped forward while
	// the stream was within reach: nothing was lost, there was nothing.
	Pauses int `json:"pauses"`
	// LastFragmentNumber is the number of the last fragment brought to an end.
	LastFragmentNumber string `json:"last_fragment_number"`
}

// Gap is one fragment or some frames that could not be delivered.
type Gap struct {
	FragmentNumber string `json:"fragment_number"`
	// Reason begins with the indexes of the frames, when it is not the fragment as a whole.
	Reason     string `json:"reason"`
	FramesLost int    `json:"frames_lost"`
}

// Meter counts while a run goes on. All fields may be read at any time; one
// meter may serve several streams.
type Meter struct {
	Fragments, FramesDecoded, BytesRead, Gaps atomic.Int64
	// MillisBehind is the lag of the stream that was read last, in milliseconds.
	MillisBehind atomic.Int64
	written      sync.Map // sink name to *atomic.Int64
}

// FramesWritten returns the number of images that a sink has made durable.
func (m *Meter) FramesWritten(sink string) int64 { return m.sink(sink).Load() }

func (m *Meter) sink(name string) *atomic.Int64 {
	n, _ := m.written.LoadOrStore(name, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// reason says what is missing of a fragment, and why.
func reason(g media.Gap) string {
	switch {
	case g.FrameIndex == media.WholeFragment:
		return g.Detail
	case g.FramesLost > 1:
		return fmt.Sprintf("frames %d to %d: %s", g.FrameIndex, g.FrameIndex+g.FramesLost-1, g.Detail)
	}
	return fmt.Sprintf("frame %d: %s", g.FrameIndex, g.Detail)
}

// add notes the end of one fragment.
func (s *Summary) add(f *media.Fragment, out media.Outcome, gaps []media.Gap) {
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, Gap{FragmentNumber: g.FragmentNumber, Reason: reason(g), FramesLost: g.FramesLost})
	}
	if f == nil { // a fragment that the source could not give
		return
	}
	s.Fragments++
	s.FramesDecoded += out.FramesDecoded
	s.FramesConcealed += out.FramesConcealed
	s.LastFragmentNumber = f.Number
}
