//go:build cgo

package decode

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/sandbox"
	"github.com/kvsframes/kvsframes/media"
)

// childMark is the mark of child processes that decode.
const childMark = "decoder"

// A program that imports this package is its own child: the mark is found before its main function runs.
func init() {
	if sandbox.Mark() == childMark {
		listen()
		serve((*worker).fragment)
		os.Exit(0)
	}
}

// childBallast is as main's of the command kvsframes: garbage is collected when there is about as much as this.
const childBallast = 8 << 20

// fragmentFunc is the type of worker.fragment.
type fragmentFunc func(w *worker, ctx context.Context, what work, before *continuous, give func(*continuous), to results) (int, error)

// child decodes what its parent sends, one fragment after the other.
type child struct {
	line *sandbox.Line
	// in and out are the halves of the shared memory; free is where the unused part of out begins.
	in, out []byte
	free    int
	buf     []byte

	// text is the settings as they came, the rest what they say.
	text   []byte
	config Config
	worker *worker
	// outputs are those of the stream, continues the decoder that the next fragment may need.
	outputs   []Output
	continues *continuous
}

// settings are what a child must know of its pool and of a stream.
type settings struct {
	Config  Config
	Outputs []childOutput
}

// childOutput is the part of an Output that pictures depend on.
type childOutput struct {
	Sink        string
	Resize      Resize
	Format      Format
	Quality     int
	PixelFormat PixelFormat
	Layout      Layout
	Normalize   Normalize
	Needs       pick.Needs
}

// serve decodes until the parent closes the connection, and returns then. decode is worker.fragment, but for tests.
func serve(decode fragmentFunc) {
	sandbox.OutliveSignals()
	sandbox.DieOfFaults()
	runtime.GOMAXPROCS(1)
	ballast := make([]byte, childBallast)
	defer runtime.KeepAlive(ballast)
	debug.SetGCPercent(100)
	line, err := sandbox.Inherited(2 * windowSize)
	if err != nil {
		os.Exit(3)
	}
	c := &child{line: line, in: line.Shared[:windowSize], out: line.Shared[windowSize:], buf: make([]byte, mostMessage)}
	defer func() {
		if cause := recover(); cause != nil {
			c.send(message{head{Kind: msgPanic}, fmt.Sprint(cause)})
			os.Exit(2)
		}
	}()
	layers := sandbox.InForce()
	c.send(message{head: head{Kind: msgHello, Flag: layers.Seccomp, Frame: uint32(layers.Landlock)}})
	for {
		m := c.receive(msgTask)
		c.task(m, c.media(m), decode)
	}
}

// send sends a message, and ends the process when the parent is gone.
func (c *child) send(m message) {
	if c.line.Send(m.append(nil)) != nil {
		os.Exit(0)
	}
}

func (c *child) receive(kind byte) message {
	n, err := c.line.Receive(c.buf)
	if err != nil || n == 0 {
		os.Exit(0)
	}
	m, err := readMessage(c.buf[:n])
	if err != nil || m.Kind != kind {
		panic(errNoMessage)
	}
	return m
}

// media returns what the parent sends for a task: where it lies, or a copy of its parts if it is larger than the memory.
func (c *child) media(m message) []byte {
	if m.Size == m.Total {
		return c.in[:m.Size]
	}
	all := make([]byte, 0, m.Total)
	for {
		all = append(all, c.in[:m.Size]...)
		if uint64(len(all)) >= m.Total {
			return all
		}
		c.send(message{head: head{Kind: msgMore}})
		m.Size = c.receive(msgPart).Size
	}
}

// task decodes one fragment.
func (c *child) task(m message, b []byte, decode fragmentFunc) {
	what, err := c.read(m.Flag, b)
	if err != nil {
		panic(err)
	}
	before := c.continues
	c.continues = nil
	if before != nil && !m.Goes {
		before.Free()
		before = nil
	}
	c.worker.room = &room{} // the parent has it
	c.free = 0
	to := &reporter{child: c}
	decoded, err := decode(c.worker, context.Background(), what, before, func(next *continuous) { c.continues = next }, to)
	switch {
	case errors.Is(err, errDoubtful):
		c.send(message{head: head{Kind: msgAgain}})
		return
	case err != nil && !errors.Is(err, errStopped):
		panic(err)
	}
	to.flush()
	c.send(message{head: head{Kind: msgEnd, Flag: to.wrong, Goes: c.continues != nil, Frame: uint32(decoded), Size: uint64(openObjects.Load())}})
}

// read reads a task. Nothing that was made of another stream is kept.
func (c *child) read(other bool, b []byte) (what work, err error) {
	n, size := binary.Uvarint(b)
	text, b := b[size:size+int(n)], b[size+int(n):]
	if other || !bytes.Equal(text, c.text) {
		c.forget()
		var s settings
		if err := json.Unmarshal(text, &s); err != nil {
			return what, err
		}
		c.text, c.config, c.outputs = bytes.Clone(text), s.Config, nil
		for _, o := range s.Outputs {
			c.outputs = append(c.outputs, Output{
				Sink: o.Sink, Resize: o.Resize, Format: o.Format, Quality: o.Quality, PixelFormat: o.PixelFormat, Layout: o.Layout, Normalize: o.Normalize,
				needs: o.Needs,
			})
		}
		if c.worker, err = newWorker(s.Config); err != nil {
			return what, err
		}
		c.worker.decoders.limit = 1
	}
	video, size := binary.Uvarint(b)
	pl, mkv, _, err := plan.Read(b[size:])
	return work{mkv: mkv, video: int(video), plan: pl, outputs: c.outputs}, err
}

// forget frees all that was made for the last stream.
func (c *child) forget() {
	if c.continues != nil {
		c.continues.Free()
		c.continues = nil
	}
	if c.worker != nil {
		c.worker.free()
		c.worker = nil
	}
}

// errStopped ends decoding after a message has told the parent why.
var errStopped = errors.New("the parent knows")

// reporter sends results to the parent.
type reporter struct {
	child *child
	// rejected is what was measured of frames that are not chosen. It is sent before whatever comes next in order: a message for
	// each would wake the parent for each frame.
	rejected []byte
	// wrong reports whether anything was wrong with the fragment.
	wrong bool
}

// image implements results.
func (r *reporter) image(k, output int, img media.Image) error {
	if len(img.Data) == 0 {
		r.wrong = r.wrong || img.Concealed
		if r.rejected = appendRejected(r.rejected, rejected{k, output, img.Concealed, img.Measured}); len(r.rejected) >= fullRejected {
			r.flush()
		}
		return nil
	}
	r.flush()
	m := message{head: head{
		Kind: msgImage, Flag: img.Concealed, Goes: img.FullRange, Frame: uint32(k), Output: uint32(output), Width: uint32(img.Width), Height: uint32(img.Height),
	}}
	r.wrong = r.wrong || img.Concealed
	data := img.Data
	if img.Measured != nil {
		data = appendMeasured(nil, *img.Measured)
		m.Measured = uint32(len(data))
		data = append(data, img.Data...)
	}
	r.child.post(m, data)
	return nil
}

// flush sends what was measured of frames that are not chosen.
func (r *reporter) flush() {
	if len(r.rejected) > 0 {
		r.child.post(message{head: head{Kind: msgRejected}}, r.rejected)
		r.rejected = r.rejected[:0]
	}
}

// post sends a message with data, in as many parts as that needs.
func (c *child) post(m message, data []byte) {
	m.Total = uint64(len(data))
	for left := data; ; m.Kind = msgData {
		m.Offset, m.Size = c.put(left)
		c.send(m)
		if left = left[m.Size:]; len(left) == 0 {
			return
		}
	}
}

// put puts as much of data as fits into the shared memory, after the parent has copied what is there if that is full.
func (c *child) put(data []byte) (offset, size uint64) {
	if n := len(c.out) - c.free; n < len(data) && c.free > 0 {
		c.send(message{head: head{Kind: msgFull}})
		c.receive(msgGoOn)
		c.free = 0
	}
	at, n := c.free, copy(c.out[c.free:], data)
	c.free += n
	return uint64(at), uint64(n)
}

// miss implements results.
func (r *reporter) miss(k int, err error) error {
	r.wrong = true
	r.flush()
	r.child.send(problem(msgMiss, k, err))
	return nil
}

// lose implements results.
func (r *reporter) lose(err error) error {
	r.wrong = true
	r.flush()
	r.child.send(problem(msgLose, 0, err))
	return nil
}

// fatal implements results.
func (r *reporter) fatal(k int, err error) error {
	r.flush()
	r.child.send(problem(msgFatal, k, err))
	return errStopped
}
