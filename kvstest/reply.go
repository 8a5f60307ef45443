package kvstest

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// mark is a fault at a place in an answer's body.
type mark struct {
	fault *armed
	// at is the place, math.MaxInt64 where the place is a time or the whole body.
	at int64
	// from is the time after which a stall begins; zero for a place in the body.
	from time.Time
	fire func()
	done bool
}

// reply is an answer on its way through the link and the faults.
type reply struct {
	http.ResponseWriter
	ctx   context.Context
	marks []*mark
	pace  pacer
	sent  int64
}

func newReply(ctx context.Context, w http.ResponseWriter, link Link, marks []*mark) *reply {
	p := &reply{ResponseWriter: w, ctx: ctx, pace: pacer{rate: link.BytesPerSecond}}
	for _, m := range marks {
		if m.fault.Kind == FaultSlow {
			if rate := m.fault.Rate; rate > 0 && (p.pace.rate == 0 || rate < p.pace.rate) {
				p.pace.rate = rate
			}
			continue
		}
		p.marks = append(p.marks, m)
	}
	return p
}

// Unwrap gives http.ResponseController what lies beneath.
func (p *reply) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write implements io.Writer.
func (p *reply) Write(b []byte) (int, error) {
	total := 0
	for len(b) > 0 {
		if err := p.act(); err != nil {
			p.flush() // what lies before the fault does arrive
			return total, err
		}
		n := p.next(len(b))
		waited, err := p.pace.wait(p.ctx, n)
		if err != nil {
			p.flush()
			return total, err
		}
		m, err := p.ResponseWriter.Write(p.corrupt(b[:n]))
		total, p.sent = total+m, p.sent+int64(m)
		if err != nil {
			return total, err
		}
		if waited {
			p.flush()
		}
		b = b[n:]
	}
	return total, nil
}

// flush sends what was written. The next write shows what an error here would.
func (p *reply) flush() { _ = http.NewResponseController(p.ResponseWriter).Flush() }

// act does what the faults have for the place that the answer has come to.
func (p *reply) act() error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	now := time.Now()
	for _, m := range p.marks {
		due := p.sent == m.at || !m.from.IsZero() && !now.Before(m.from)
		if m.done || !due {
			continue
		}
		switch m.fault.Kind {
		case FaultCut:
			return &cutError{m.fault}
		case FaultStall:
			m.done = true
			m.fire()
			p.flush()
			if err := p.stall(m.fault.For); err != nil {
				return err
			}
		case FaultCorrupt:
			m.done = true
			m.fire()
		}
	}
	return nil
}

// stall waits for the time d, 0 being for ever.
func (p *reply) stall(d time.Duration) error {
	if d > 0 {
		return sleep(p.ctx, d)
	}
	<-p.ctx.Done()
	return context.Cause(p.ctx)
}

// next returns how many of n bytes go out at once: not past the next fault.
func (p *reply) next(n int) int {
	n = min(n, p.pace.slice())
	for _, m := range p.marks {
		if m.at > p.sent {
			n = int(min(int64(n), m.at-p.sent))
		}
	}
	return n
}

// corrupt returns b, which comes next, or a copy with the bytes inverted that a fault
// wants inverted.
func (p *reply) corrupt(b []byte) []byte {
	copied := false
	for _, m := range p.marks {
		if m.fault.Kind != FaultCorrupt {
			continue
		}
		begin := max(0, m.at-p.sent)
		end := min(int64(len(b)), m.at+int64(max(1, m.fault.Length))-p.sent)
		if begin >= end {
			continue
		}
		if !copied {
			b, copied = slices.Clone(b), true
		}
		for i := begin; i < end; i++ {
			b[i] = ^b[i]
		}
	}
	return b
}

// pacer holds bytes back to a rate.
type pacer struct {
	// rate is in bytes a second; 0 is no limit.
	rate int64
	// free is when the link has sent all that was given to it.
	free time.Time
}

// slice is how many bytes are handed to the link at once: what it sends in 10 ms.
func (p *pacer) slice() int {
	if p.rate == 0 {
		return 1 << 30
	}
	return int(max(1<<10, min(p.rate/100, 1<<20)))
}

// wait blocks until n more bytes have gone over the link; waited reports whether it has.
func (p *pacer) wait(ctx context.Context, n int) (waited bool, err error) {
	if p.rate == 0 {
		return false, nil
	}
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(int64(n) * int64(time.Second) / p.rate))
	d := p.free.Sub(now)
	if d < time.Millisecond {
		return false, nil // a timer is no more exact
	}
	return true, sleep(ctx, d)
}
