// Package plan decides which frames of a stream are wanted, and which packets must be decoded for them. It reads headers
// alone, decodes nothing, and is pure Go.
//
// A [Planner] sees the fragments of one stream in order and makes a [Plan] of each. It alone holds what samplers
// remember from one fragment to the next:
//
//	planner := plan.NewPlanner(plan.SkipAuto, []plan.Output{{Sink: "thumbs", Sample: sample}})
//	for fragment := range fragments {
//		p := planner.Plan(fragment)
//		...
//	}
//	gaps := planner.End()
//
// What an output wants is a [Sample]: all frames, key frames, every nth, a grid in time, the frames for a list of
// times, or frames by their number.
package plan

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// Plan says what is wanted of one fragment and which packets must be decoded for
// it. It is pure data: made in stream order, used by any worker.
type Plan struct {
	// Track is the video track; hasVideo is false when there is none.
	Track    media.Track
	hasVideo bool
	// Frames are the frames of the video track in decode order, one an access unit.
	Frames []Frame
	// Samples is the number of frames that at least one output wants.
	Samples int
	// InOrder holds the packets of the wanted frames, in presentation order.
	InOrder []int
	// Form is how the packets must be handed to the decoder.
	Form Form
	// LengthSize is the size in bytes of the length prefixes of the packets' NAL units, 0 for start codes.
	LengthSize int
	// begin are the parameter sets that the fragment begins with.
	begin [][]byte
	// Chain is what the fragment has to do with the ones around it; nil when it is
	// decoded by itself.
	Chain *Chain
	// Refresh is the fragment's gradual refresh.
	Refresh Refresh
	// decided is closed when the rest of the plan is made; nil if it is made already. A
	// request for a time after the last frame is decided by the frame that comes next.
	decided chan struct{}
	// Footprint is an estimate of what the decoder takes, in bytes.
	Footprint int64
	// Refused is why the fragment cannot be decoded, nil if it can.
	Refused error
	// Skipped reports whether no frame of this fragment can be wanted. Only the planner still needs it, for bookkeeping.
	Skipped bool
	// owners counts how many of {planner, caller} have let go of a plan whose rest is made later; the second one releases its chain.
	owners *atomic.Int32

	// hold counts who needs the fragment's media.
	hold *hold

	// blocks are those of the video track.
	blocks   []media.Block
	Pictures []Picture
}

// Wait returns when the plan is made.
func (pl *Plan) Wait(ctx context.Context) error {
	if pl.decided == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pl.decided:
		return nil
	}
}

// Pending reports whether the rest of the plan is not made yet, so that which of its frames are wanted is not known.
func (pl *Plan) Pending() bool {
	if pl.decided == nil {
		return false
	}
	select {
	case <-pl.decided:
		return false
	default:
		return true
	}
}

// Release lets go of the fragment's media, which is recycled when nobody needs it any more.
func (pl *Plan) Release() { pl.hold.drop() }

// GiveUp lets go of what the plan holds beside its own fragment. It is called once, instead of decoding the fragment, and may be
// called before the rest of the plan is made.
func (pl *Plan) GiveUp() {
	if pl.owners != nil && pl.owners.Add(1) < 2 || pl.Chain == nil {
		return
	}
	pl.ReleaseLeads()
	// Nobody takes the decoder that waits for the fragment, and none follows.
	if pl.Chain.After != nil {
		pl.Chain.After.release()
	}
	if pl.Chain.Next != nil {
		pl.Chain.Next.GiveUp()
	}
}

// Frame is one frame of the video track.
type Frame struct {
	Info media.FrameInfo
	// last is the frame's last block.
	last int
	// packet is decoded in that block's place when it is not nil; with tail, it ends with a NAL unit that
	// may be a part of a slice, and may be none (see accessUnit).
	packet, tail []byte
	// Cut reports whether the picture's only slice is known to be cut: of a few bytes at its end decoders make something
	// without complaint.
	Cut bool
	// Feed reports whether the packet must go to the decoder.
	Feed bool
	// HeaderOnly is fed instead of the packet when it is not nil: no wanted picture refers to this one, and the
	// decoder must know no more than that there was one.
	HeaderOnly []byte
	// Fast reports whether the loop filter may be left out.
	Fast bool
	// Group is the number of the frame's group of pictures.
	Group int
	// Leads: pictures that are shown later do not refer to this one, although it comes
	// before them in the stream.
	Leads bool
	// Disposable: no other picture refers to this one.
	Disposable bool
	// Broken: something that the picture may refer to is not there.
	Broken bool
	// Outputs are the outputs that want the frame, in their order.
	Outputs []Asked
}

// Asked reports whether an output wants a frame.
type Asked struct {
	// Output is its index.
	Output int
	// answers are the requests that the frame answers, for type timestamps.
	answers []stampRequest
}

// ask notes that an output wants the frame, as the answer to some request.
func (f *Frame) ask(output int, answers ...stampRequest) {
	i, found := slices.BinarySearchFunc(f.Outputs, output, func(a Asked, o int) int { return cmp.Compare(a.Output, o) })
	if !found {
		f.Outputs = slices.Insert(f.Outputs, i, Asked{Output: output})
	}
	f.Outputs[i].answers = append(f.Outputs[i].answers, answers...)
}

// Packet returns what is decoded of frame k, in the fragment's media.
func (pl *Plan) Packet(mkv []byte, k int) []byte {
	f := &pl.Frames[k]
	switch b := pl.blocks[f.last]; {
	case f.HeaderOnly != nil:
		return f.HeaderOnly
	case f.packet != nil:
		return f.packet
	default:
		return mkv[b.Offset : b.Offset+b.Size]
	}
}
