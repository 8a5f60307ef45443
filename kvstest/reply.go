package kvstest

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"time"
)

// mark is a fault at an offset in an answer's body.
type mark struct {
	fault *armed
	// at is the offset, or math.MaxInt64 if the fault has a time.
	at int64
	// from is the time after which a stall begins; zero for an offset in the body.
	from time.Time
	fire func()
	done bool
}

// reply writes an answer and applies the link and the faults.
type reply struct {
	http.ResponseWriter
	ctx   context.Context
	marks []*mark
	pace  pacer
	sent  int64
}

func newReply(ctx context.Context, w http.ResponseWriter, link Link, p *plan) *reply {
	return &reply{ResponseWriter: w, ctx: ctx, marks: p.marks, pace: pacer{rate: slower(link.BytesPerSecond, p.rate)}}
}

// slower returns the lower of two rates, of which 0 means no limit.
func slower(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Unwrap returns the underlying writer, for http.ResponseController.
func (p *reply) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write implements io.Writer.
func (p *reply) Write(b []byte) (int, error) {
	total := 0
	for len(b) > 0 {
		if err := p.act(); err != nil {
			p.flush() // the bytes before the fault must arrive
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

// flush sends the written bytes. The next write would return an error of flush.
func (p *reply) flush() { _ = http.NewResponseController(p.ResponseWriter).Flush() }

// act applies the faults at the current offset of the answer.
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
			if err := sleep(p.ctx, cmp.Or(m.fault.For, math.MaxInt64)); err != nil {
				return err
			}
		case FaultCorrupt:
			m.done = true
			m.fire()
		}
	}
	return nil
}

// next returns how many of n bytes to send at once: not beyond the next fault.
func (p *reply) next(n int) int {
	n = min(n, p.pace.slice())
	for _, m := range p.marks {
		if m.at > p.sent {
			n = int(min(int64(n), m.at-p.sent))
		}
	}
	return n
}

// corrupt returns b, the next bytes, or a copy in which the bytes are inverted that a fault selects.
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

// pacer limits the rate of bytes.
type pacer struct {
	// rate is in bytes a second; 0 is no limit.
	rate int64
	// free is when the link will have sent all bytes.
	free time.Time
}

// slice returns the number of bytes that are passed to the link at once: what it sends in 10 ms.
func (p *pacer) slice() int {
	if p.rate == 0 {
		return 1 << 30
	}
	return int(max(1<<10, min(p.rate/100, 1<<20)))
}

// wait waits until the link has sent n more bytes; waited reports whether it had to wait.
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
		return false, nil // below the resolution of timers
	}
	return true, sleep(ctx, d)
}
