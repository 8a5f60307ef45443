//go:build cgo

package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/kvsframes/kvsframes/internal/sandbox"
	"github.com/kvsframes/kvsframes/media"
)

// process is a child process that decodes, as its parent sees it. One goroutine uses it at a time. The parent trusts nothing that
// comes from it: a fragment may have taken it over.
type process struct {
	*sandbox.Child
	layers  sandbox.Layers
	in, out []byte
	buf     []byte

	// stream is the one that the process served last, tasks the number of fragments that it was given, room its decoder's memory.
	stream *Stream
	tasks  int
	room   *room
	// objects is the number of libav's objects that the process holds, as it says.
	objects int64
	// inUsed and outUsed are how much of the shared memory holds data of the stream.
	inUsed, outUsed int
}

// mostObjects is more than the objects that any decoder holds.
const mostObjects = 1 << 16

// mostTasks is how many fragments a process decodes before a new one replaces it.
const mostTasks = 256

// startTime is how long a process may take to start.
const startTime = time.Minute

// death is the error of a process that did not finish a fragment.
type death struct {
	how string
	// passing reports whether the fragment did not cause it.
	passing bool
}

func (d *death) Error() string { return d.how }

// startProcess starts a process and waits until it is ready.
func startProcess(l *sandbox.Launcher, mark string, memory int64) (*process, error) {
	c, err := l.Start(mark, memory, 2*windowSize)
	if err != nil {
		return nil, err
	}
	p := &process{Child: c, in: c.Shared[:windowSize], out: c.Shared[windowSize:], buf: make([]byte, mostMessage+1), room: &room{}}
	err = c.Conn.SetReadDeadline(time.Now().Add(startTime))
	var hello message
	if err == nil {
		hello, err = p.read()
	}
	if err == nil && hello.Kind != msgHello {
		err = errNonsense
	}
	if err != nil {
		how := p.kill()
		return nil, fmt.Errorf("start decoder: %w (%s)", err, how)
	}
	p.layers = sandbox.Layers{Seccomp: hello.Flag, Landlock: int(hello.Frame)}
	return p, nil
}

// kill ends the process, and returns how it ended.
func (p *process) kill() string {
	p.Kill()
	p.holds(0)
	p.room.free()
	how, _ := p.Death()
	return how
}

// holds records how many of libav's objects the process holds.
func (p *process) holds(n int64) {
	openObjects.Add(n - p.objects)
	p.objects = n
}

// Free implements plan.Decoder.
func (p *process) Free() { p.kill() }

// read waits for one message, until the deadline of the connection.
func (p *process) read() (message, error) {
	n, err := p.Conn.Read(p.buf)
	if err != nil {
		return message{}, err
	}
	return readMessage(p.buf[:n])
}

// patience is how long a process may take for a fragment.
type patience struct {
	// cpu is the processor time that it may use, wall how long the parent waits for it.
	cpu, wall time.Duration
}

// tick is how often the processor time of a process is looked at.
const tick = 250 * time.Millisecond

// watch waits for the messages of one fragment.
type watch struct {
	*process
	ctx      context.Context
	limit    patience
	began    time.Duration // of processor time
	waited   time.Duration
	lastLook time.Time
	// grace is how long the process may take to end after its connection has.
	grace time.Duration
}

// next returns the next message. It fails with a death, or with the context's error.
func (w *watch) next() (message, error) {
	for {
		if err := w.ctx.Err(); err != nil {
			return message{}, err
		}
		start := time.Now()
		if err := w.look(start); err != nil {
			return message{}, err
		}
		if err := w.Conn.SetReadDeadline(start.Add(tick)); err != nil {
			return message{}, w.died(err)
		}
		if w.ctx.Err() != nil { // its end may have set the deadline before
			continue
		}
		m, err := w.read()
		w.waited += time.Since(start)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return message{}, w.died(err)
		default:
			return m, nil
		}
	}
}

// look returns a death if the process has used up its time.
func (w *watch) look(now time.Time) error {
	if now.Sub(w.lastLook) < tick {
		return nil
	}
	w.lastLook = now
	used, err := w.CPU()
	switch {
	case err == nil && used-w.began > w.limit.cpu:
		return &death{how: fmt.Sprintf("it took more than %s of processor time", w.limit.cpu)}
	case w.waited > w.limit.wall: // without a clock of the process it is taken to be busy
		return &death{how: fmt.Sprintf("it gave no answer for %s", w.limit.wall), passing: err == nil}
	}
	return nil
}

// died returns why a message cannot be read.
func (w *watch) died(err error) error {
	if errors.Is(err, errNoMessage) {
		return &death{how: err.Error()}
	}
	timer := time.NewTimer(w.grace)
	defer timer.Stop()
	select {
	case <-w.Exited():
		how, outside := w.Death()
		return &death{how: how, passing: outside}
	case <-timer.C:
		return &death{how: fmt.Sprintf("it closed its connection (%v)", err)}
	}
}

// decode decodes a fragment and returns whether the process keeps a decoder that can continue, and whether anything was wrong with the
// fragment. The error is errDoubtful if a new decoder has to be led up for it. After an error the process must be killed.
func (p *process) decode(ctx context.Context, task []byte, h head, a *account, limit patience, grace time.Duration) (goes, wrong bool, err error) {
	w := &watch{process: p, ctx: ctx, limit: limit, lastLook: time.Now(), grace: grace}
	w.began, _ = p.CPU()
	defer context.AfterFunc(ctx, func() { _ = p.Conn.SetReadDeadline(time.Unix(1, 0)) })()
	if err := w.give(task, h); err != nil {
		return false, false, err
	}
	for {
		m, err := w.next()
		if err != nil {
			return false, false, err
		}
		switch m.Kind {
		case msgFull:
			err = w.send(message{head: head{Kind: msgGoOn}})
		case msgImage:
			err = w.image(m, a)
		case msgRejected:
			err = w.rejected(m, a)
		case msgMiss:
			err = a.told(m, func(err error) error { return a.miss(int(m.Frame), err) })
		case msgLose:
			err = a.told(m, a.lose)
		case msgFatal:
			err = a.told(m, func(err error) error { return a.fatal(int(m.Frame), err) })
		case msgAgain:
			if err = errNonsense; h.Goes || a.plan.Ahead {
				return false, false, errDoubtful
			}
		case msgPanic:
			err = &death{how: "it panicked: " + printable(m.text)}
		case msgEnd:
			if !a.settled() || int(m.Frame) > len(a.plan.Frames) || m.Goes && a.plan.Next() == nil || m.Size > mostObjects {
				return false, false, nonsense()
			}
			a.decoded = int(m.Frame)
			p.holds(int64(m.Size))
			return m.Goes, m.Flag, nil
		default:
			err = errNonsense
		}
		if errors.Is(err, errNonsense) {
			err = nonsense()
		}
		if err != nil {
			return false, false, err
		}
	}
}

func nonsense() error { return &death{how: errNonsense.Error()} }

// send sends a message.
func (w *watch) send(m message) error {
	if _, err := w.Conn.Write(m.append(nil)); err != nil {
		return w.died(err)
	}
	return nil
}

// give sends a task, in parts if it is larger than the shared memory.
func (w *watch) give(task []byte, h head) error {
	h.Kind, h.Total = msgTask, uint64(len(task))
	for left := task; ; h.Kind = msgPart {
		n := min(len(left), len(w.in))
		if n > 0 && &left[0] != &w.in[0] {
			copy(w.in, left[:n])
		}
		w.inUsed = max(w.inUsed, n)
		h.Size = uint64(n)
		if err := w.send(message{head: h}); err != nil {
			return err
		}
		if left = left[n:]; len(left) == 0 {
			return nil
		}
		if m, err := w.next(); err != nil {
			return err
		} else if m.Kind != msgMore {
			return nonsense()
		}
	}
}

// image copies an image, checks it, and hands it on.
func (w *watch) image(m message, a *account) error {
	k, output := int(m.Frame), int(m.Output)
	if k >= len(a.plan.Frames) || output >= len(a.outputs) {
		return errNonsense
	}
	o := &a.outputs[output]
	if !o.measurable(uint64(m.Measured)) || uint64(m.Measured) > m.Total || !o.believable(int(m.Width), int(m.Height), m.Total-uint64(m.Measured)) {
		return errNonsense
	}
	img := o.blank(a.plan.Frames[k].Info, int(m.Width), int(m.Height))
	img.Concealed, img.FullRange = m.Flag, m.Goes
	data, err := w.collect(m)
	if err != nil {
		return err
	}
	if m.Measured > 0 {
		if img.Measured, err = readMeasured(data[:m.Measured]); err != nil {
			return err
		}
		data = data[m.Measured:]
	}
	if img.Data, err = o.complete(data, img); err != nil {
		return err
	}
	return a.image(k, output, img)
}

// rejected hands on frames that are not chosen.
func (w *watch) rejected(m message, a *account) error {
	if m.Total > mostRejected {
		return errNonsense
	}
	data, err := w.collect(m)
	for err == nil && len(data) > 0 {
		var s rejected
		if s, data, err = readRejected(data); err != nil {
			return err
		}
		if s.frame >= len(a.plan.Frames) || s.output >= len(a.outputs) || !a.outputs[s.output].needs.Any() {
			return errNonsense
		}
		img := media.Image{FrameInfo: a.plan.Frames[s.frame].Info, Sink: a.outputs[s.output].Sink, Concealed: s.concealed, Measured: s.measured}
		err = a.image(s.frame, s.output, img)
	}
	return err
}

// roomForMetadata is about as much as complete adds to an image.
const roomForMetadata = 1 << 10

// collect copies the parts of an image. Memory is taken as they come, not as they are announced.
func (w *watch) collect(m message) ([]byte, error) {
	data := make([]byte, 0, min(m.Total, windowSize)+roomForMetadata)
	for {
		if m.Size == 0 || m.Offset > uint64(len(w.out)) || m.Size > uint64(len(w.out))-m.Offset || m.Size > m.Total-uint64(len(data)) {
			return nil, errNonsense
		}
		end := int(m.Offset + m.Size)
		w.outUsed = max(w.outUsed, end)
		data = append(data, w.out[m.Offset:end]...)
		if uint64(len(data)) == m.Total {
			return data, nil
		}
		next, err := w.next()
		for err == nil && next.Kind == msgFull {
			if err = w.send(message{head: head{Kind: msgGoOn}}); err == nil {
				next, err = w.next()
			}
		}
		if err != nil {
			return nil, err
		}
		if next.Kind != msgData {
			return nil, errNonsense
		}
		m.Offset, m.Size = next.Offset, next.Size
	}
}

// wipe clears what the shared memory holds of a stream.
func (p *process) wipe() {
	clear(p.in[:p.inUsed])
	clear(p.out[:p.outUsed])
	p.inUsed, p.outUsed = 0, 0
}

// told passes on the error of a message.
func (a *account) told(m message, to func(error) error) error {
	err := m.err()
	if err == nil || int(m.Frame) >= len(a.plan.Frames) {
		return errNonsense
	}
	return to(err)
}

// task appends what a process must know to decode a fragment.
func (w work) task(dst, settings []byte, continues bool) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(settings)))
	dst = append(dst, settings...)
	dst = binary.AppendUvarint(dst, uint64(w.video))
	return w.plan.Append(dst, w.mkv, continues)
}
