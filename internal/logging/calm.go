package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quiet is how long a repeated warning is not logged, and after how long without it the trouble is over.
const quiet = time.Minute

// about are the attributes that tell apart two warnings of the same text.
var about = []string{"stream", "sink", "reason"}

// Calm returns a logger that sums up lines which repeat: those of one message about the same stream, sink and reason. The
// first is logged. Then at most one a minute is, the latest, with the number of those since the last line in the attribute "repeated". When
// there has been no such warning for a minute, a line at level info states how often it occurred, and for how long. Lines for debugging, and
// those at level info that are about none of these, pass.
//
// stop logs what was not yet, and ends the goroutine that does so from time to time.
func Calm(log *slog.Logger) (calm *slog.Logger, stop func()) {
	c := &calmer{repeated: map[string]*repeated{}}
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(quiet / 4)
		defer ticker.Stop()
		for {
			select {
			case <-over:
				c.settle(time.Now(), true)
				return
			case now := <-ticker.C:
				c.settle(now, false)
			}
		}
	}()
	return slog.New(&calmHandler{Handler: log.Handler(), all: c}), sync.OnceFunc(func() {
		close(over)
		<-gone
	})
}

// repeated is a warning that may come again.
type repeated struct {
	first, last, logged time.Time
	times, held         int
	message             string
	level               slog.Level
	record              slog.Record // the latest that is held
	to                  slog.Handler
}

// calmer holds what was logged in the last minute. Several goroutines may use it.
type calmer struct {
	mu       sync.Mutex
	repeated map[string]*repeated
}

// admit reports whether a record is logged now, and how many were held back before it.
func (c *calmer) admit(key string, r slog.Record, to slog.Handler) (held int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.repeated[key]
	if known == nil {
		c.repeated[key] = &repeated{first: r.Time, last: r.Time, logged: r.Time, times: 1, message: r.Message, level: r.Level, to: to}
		return 0, true
	}
	known.times++
	known.last = r.Time
	if r.Time.Sub(known.logged) < quiet {
		known.held++
		known.record, known.to = r.Clone(), to
		return 0, false
	}
	held, known.held, known.logged = known.held, 0, r.Time
	return held, true
}

// settle logs the warnings that were held back for long enough, or all, and forgets those that are over.
func (c *calmer) settle(now time.Time, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, r := range c.repeated {
		if r.held > 0 && (all || now.Sub(r.logged) >= quiet) {
			r.record.Time = now
			r.record.AddAttrs(slog.Int("repeated", r.held))
			_ = r.to.Handle(context.Background(), r.record) // a line that is lost does no harm
			r.held, r.logged = 0, now
		}
		if now.Sub(r.last) < quiet {
			continue
		}
		if delete(c.repeated, key); r.times > 1 && r.level >= slog.LevelWarn {
			end := slog.NewRecord(now, slog.LevelInfo, "no more of: "+r.message, 0)
			end.AddAttrs(slog.Int("times", r.times), slog.String("for", r.last.Sub(r.first).Truncate(time.Second).String()))
			_ = r.to.Handle(context.Background(), end)
		}
	}
}

// calmHandler passes records on that its calmer admits.
type calmHandler struct {
	slog.Handler
	all *calmer
	// about is what the logger's own attributes say.
	about string
}

// Handle implements slog.Handler.
func (h *calmHandler) Handle(ctx context.Context, r slog.Record) error {
	about := h.about
	r.Attrs(func(a slog.Attr) bool {
		about += subject(a)
		return true
	})
	if r.Level < slog.LevelInfo || r.Level < slog.LevelWarn && about == "" {
		return h.Handler.Handle(ctx, r)
	}
	held, ok := h.all.admit(r.Message+"\x00"+about, r, h.Handler)
	if !ok {
		return nil
	}
	if held > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeated", held))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *calmHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := &calmHandler{Handler: h.Handler.WithAttrs(attrs), all: h.all, about: h.about}
	for _, a := range attrs {
		with.about += subject(a)
	}
	return with
}

// WithGroup implements slog.Handler.
func (h *calmHandler) WithGroup(name string) slog.Handler {
	return &calmHandler{Handler: h.Handler.WithGroup(name), all: h.all, about: h.about}
}

// subject returns an attribute as a part of a key, "" for one that does not tell warnings apart.
func subject(a slog.Attr) string {
	for _, name := range about {
		if a.Key == name {
			return name + "=" + a.Value.String() + "\x00"
		}
	}
	return ""
}
