package kvs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// How often a fragment is requested.
const (
	// maxAbsent is the limit for a fragment that the archive does not have.
	maxAbsent = 5
	// maxInternal is the limit for a fragment with which the service reports an internal error: the delays in
	// between add up to more than a minute.
	maxInternal = 10
	// maxRefused is how many consecutive calls, each for one fragment, may be refused: after that, the stream
	// itself is taken to be missing.
	maxRefused = 1000
	// maxSame is the limit for a fragment that ends early at the same place, or is malformed; maxCut for one
	// that ends early at different places.
	maxSame = 3
	maxCut  = 30
)

// errSkipped is the cause of a gap where an answer left out a fragment.
var errSkipped = errors.New("the answer did not contain it")

// answer is a fragment of a batch, a gap in its place, or the error that ends reading.
type answer struct {
	fragment *media.Fragment
	err      error
	fatal    bool
	// cost is the answer's share of the budget, in bytes.
	cost int64
	// straddles reports whether the range may begin inside the fragment.
	straddles bool
}

// wanted is one fragment of a batch, with the state of its requests.
type wanted struct {
	number    string
	cost      int64
	straddles bool
	answer    answer
	done      bool
	// tries counts the answers that lacked the fragment or had it malformed, cuts the ones that ended inside it,
	// and same the consecutive ones that ended after size bytes.
	tries, cuts, same int
	size              int64
	// due is when the fragment may be requested again.
	due time.Time
	// reported reports whether the last call returned the fragment, or an error about it.
	reported bool
}

// batch is a row of fragments that are requested together. Its answers are sent in order, whatever the order of their
// arrival.
type batch struct {
	a     *archive
	items []wanted
	index map[string]int
	// out has room for all answers; sent is how many were sent to it.
	out  chan answer
	sent int
	// counted reports whether the quota counts the fragments.
	counted bool
	// cut is the fragment inside which the last call ended.
	cut *media.Fragment
}

// overhead is the approximate memory of a fragment besides its bytes.
const overhead = 4 << 10

// newBatch returns the batch of a row of fragments. first is the number of the fragment that contains the start of the
// range, or "" if any may.
func (a *archive) newBatch(row []ArchivedFragment, first string) *batch {
	b := &batch{a: a, index: make(map[string]int, len(row)), out: make(chan answer, len(row)+1)}
	for i, f := range row {
		b.items = append(b.items, wanted{number: f.Number, cost: cost(f), straddles: first == "" || f.Number == first})
		b.index[payload.PlainNumber(f.Number)] = i
	}
	return b
}

func cost(f ArchivedFragment) int64 { return f.Bytes + overhead }

// item returns the entry of a fragment, or nil if the fragment is not, or no longer, wanted.
func (b *batch) item(number string) *wanted {
	i, ok := b.index[payload.PlainNumber(number)]
	if !ok || number == "" || b.items[i].done {
		return nil
	}
	return &b.items[i]
}

// finish settles a fragment and sends all answers up to the first unsettled one.
func (b *batch) finish(w *wanted, r answer) {
	r.cost, r.straddles = w.cost, w.straddles
	if f := r.fragment; f != nil {
		if real := int64(len(f.MKV)) + overhead; real > r.cost {
			b.a.room.grow(real - r.cost)
			r.cost = real
		}
	}
	w.answer, w.done, w.reported = r, true, true
	if b.counted {
		b.a.quota.settle(w.number, r.fragment == nil)
	}
	for ; b.sent < len(b.items) && b.items[b.sent].done; b.sent++ {
		b.out <- b.items[b.sent].answer
		b.items[b.sent].answer = answer{}
	}
}

// lose settles a fragment as a gap, with the number of frames known to be lost.
func (b *batch) lose(w *wanted, why string, cause error) {
	framesLost := 0
	var inner *media.GapError
	if errors.As(cause, &inner) {
		cause, framesLost = inner.Err, inner.Gap.FramesLost
	}
	gap := payload.NewGap(b.a.id.name, w.number, cause, framesLost)
	if errors.Is(cause, errSkipped) || refusesFragments(cause) {
		gap.Gap.Reason = media.GapMissing
	}
	gap.Gap.Detail = fmt.Sprintf("%s: %v", why, gap.Err)
	b.finish(w, answer{err: gap})
}

// ask returns the fragments that may be requested now, or else the time until there are some. When all are settled it
// returns neither.
func (b *batch) ask(now time.Time) (numbers []string, pause time.Duration) {
	for i := range b.items {
		w := &b.items[i]
		w.reported = false
		switch left := w.due.Sub(now); {
		case w.done:
		case left <= 0:
			numbers = append(numbers, w.number)
		case pause == 0 || left < pause:
			pause = left
		}
	}
	return numbers, pause
}

// take settles a fragment that has arrived.
func (b *batch) take(f *media.Fragment) {
	w := b.item(f.Number)
	switch {
	case w == nil:
		b.a.log.Debug("fragment dropped, it was not requested or arrived before", "fragment", f.Number)
	case f.Damage != "":
		b.damaged(w, f)
	case f.Cut:
		b.cut = f
	default:
		b.a.answered()
		b.a.refused.Store(0)
		b.finish(w, answer{fragment: f})
	}
}

// damaged handles a fragment that ends early although the answer continues. The first two times it is requested
// again; the third time it is settled as it is.
func (b *batch) damaged(w *wanted, f *media.Fragment) {
	w.reported = true
	if w.tries++; w.tries >= maxSame {
		b.finish(w, answer{fragment: f})
		return
	}
	w.due = time.Now().Add(b.a.pace.backoff(b.a.pace.absent, w.tries-1))
	b.a.log.Debug("requesting fragment again", "fragment", w.number, "tries", w.tries, "error", f.Damage)
}

// report records why a fragment has not arrived. It returns an error if reading must end.
func (b *batch) report(w *wanted, cause error) error {
	if w == nil {
		return nil
	}
	v := source.VerdictOf(cause)
	var tag *payload.ErrorTag
	absent := errors.As(cause, &tag) || errors.Is(cause, errSkipped)
	limit, why, first := maxSame, "it is malformed", b.a.pace.absent
	switch {
	case refusesFragments(cause):
		why = "the service refuses it"
	case errors.Is(cause, payload.ErrTooLarge):
		limit, why = 1, "it is above max_fragment_size"
	case absent && v.Class == source.ClassFatal:
		return b.a.fatal(cause, v)
	case v.Internal:
		limit, why, first = maxInternal, "the service cannot read it", b.a.pace.retry
	case absent:
		limit, why = maxAbsent, "the archive does not have it"
	}
	w.reported = true
	w.tries++
	if absent && v.Tries > 0 && tag != nil {
		if limit = v.Tries; w.tries > limit {
			return b.a.fatal(cause, v)
		}
	} else if w.tries >= limit {
		if w.tries > 1 {
			why = fmt.Sprintf("%s, after %d tries", why, w.tries)
		}
		b.lose(w, why, cause)
		return nil
	}
	w.due = time.Now().Add(b.a.pace.backoff(first, w.tries-1))
	if v.Internal {
		b.a.reach.Lost(cause)
	} else {
		b.a.hear(w.due)
	}
	b.a.log.Debug("requesting fragment again", "fragment", w.number, "tries", w.tries, "error", cause)
	return nil
}

// cutOff handles the fragment inside which a call ended, after size bytes. The first two times at the same
// place it is requested again; the third time it is settled as it is.
func (b *batch) cutOff(f *media.Fragment, size int64) {
	w := b.item(f.Number)
	if w == nil {
		return
	}
	if w.size != size {
		w.same, w.size = 0, size
	}
	w.same++
	w.cuts++
	if w.same >= maxSame || w.cuts >= maxCut {
		b.finish(w, answer{fragment: f})
	}
}

// left returns the requested fragments about which a call returned nothing, in the order of the request, and
// how many of them precede one that arrived.
func (b *batch) left(asked []string) (left []*wanted, skipped int) {
	for _, number := range asked {
		w := &b.items[b.index[payload.PlainNumber(number)]]
		if w.reported {
			skipped = len(left)
		} else {
			left = append(left, w)
		}
	}
	return left, skipped
}

// ended is called when a call has ended, with io.EOF at the end of its answer. It returns an error if reading
// must end.
func (b *batch) ended(asked []string, err error, d *download) error {
	cut := b.cut
	b.cut = nil
	left, skipped := b.left(asked)
	if len(left) == 0 {
		return nil
	}
	var split *payload.SplitError
	switch {
	case errors.As(err, &split):
		w := left[0]
		if named := b.item(split.FragmentNumber); named != nil {
			w = named
		}
		return b.report(w, err)
	case errors.Is(err, io.EOF) && cut != nil && d.EndedWhole() && len(left) == 1:
		// The fragment is whole: it is Cut only because its Cluster has an unknown size.
		cut.Cut = false
		b.take(cut)
		return nil
	case cut != nil:
		b.cutOff(cut, d.BytesRead())
		return nil
	case !errors.Is(err, io.EOF):
		return nil
	case skipped == 0 && len(left) == len(asked):
		skipped = 1 // nothing has arrived
	}
	for _, w := range left[:skipped] {
		if err := b.report(w, errSkipped); err != nil {
			return err
		}
	}
	return nil
}

// work fetches a batch, in as many calls as necessary.
func (a *archive) work(ctx context.Context, b *batch) {
	defer close(b.out)
	var tries tries
	for {
		numbers, pause := b.ask(time.Now())
		if len(numbers) == 0 {
			if pause == 0 || wait.Sleep(ctx, pause) != nil {
				return
			}
			continue
		}
		if err := a.fetch(ctx, b, numbers, &tries); err != nil {
			if ctx.Err() == nil {
				b.out <- answer{err: err, fatal: true}
			}
			return
		}
	}
}

// fetch makes one call for fragments of a batch, and waits if the call failed. It returns an error if reading
// must end.
func (a *archive) fetch(ctx context.Context, b *batch, numbers []string, t *tries) error {
	if err := a.media.spend(ctx, len(numbers)); err != nil {
		return err
	}
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	before := b.settled()
	r, err := a.read(ctx, b, numbers)
	<-a.slots
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case b.settled() > before:
		*t = tries{}
	case refusesFragments(r.err):
		return a.split(ctx, b, numbers, t, r.err)
	}
	if r.err == nil || errors.Is(r.err, io.EOF) {
		if b.progressed(numbers) {
			return nil
		}
		r.err = io.ErrUnexpectedEOF // the answer ended before its first byte
	}
	var split *payload.SplitError
	if errors.As(r.err, &split) || b.settled() > before {
		// The fragment was counted, or the part that was cut off is requested at once.
		a.log.Debug("answer of the archive broke off", "asked", len(numbers), "error", r.err)
		return nil
	}
	return a.again(ctx, t, r)
}

// refusesFragments reports whether a call was refused because of one of its fragments; the service does not name it.
func refusesFragments(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Operation == "GetMediaForFragmentList" &&
		(refused.Code == codeInvalid || refused.Code == "ResourceNotFoundException")
}

// split requests the two halves of a refused request, so that in the end only the fragments at fault are lost.
func (a *archive) split(ctx context.Context, b *batch, numbers []string, t *tries, refused error) error {
	if n := len(numbers); n > 1 {
		if err := a.fetch(ctx, b, numbers[:n/2], t); err != nil {
			return err
		}
		return a.fetch(ctx, b, numbers[n/2:], t)
	}
	if a.refused.Add(1) > maxRefused {
		return a.fatal(refused, source.Verdict{})
	}
	return b.report(b.item(numbers[0]), refused)
}

// settled returns the number of fragments that have arrived or are lost.
func (b *batch) settled() int {
	n := 0
	for i := range b.items {
		if b.items[i].done {
			n++
		}
	}
	return n
}

// progressed reports whether the last call returned something about a fragment.
func (b *batch) progressed(asked []string) bool {
	left, _ := b.left(asked)
	return len(left) < len(asked)
}

// read makes a call and passes the fragments that arrive to the batch. refused describes a failed call; err
// ends reading.
func (a *archive) read(ctx context.Context, b *batch, numbers []string) (refused failure, err error) {
	refused = failure{plane: &a.api.media, points: a.media}
	d, endpoint, err := a.api.getMedia(ctx, numbers, func(n int) { a.bytes.Add(int64(n)); a.hear(time.Now()) })
	refused.endpoint = endpoint
	if err != nil {
		refused.err = err
		return refused, nil
	}
	defer d.close()
	a.reached.Store(true)
	a.media.served()
	for {
		f, err := d.Next()
		var gap *media.GapError
		var tag *payload.ErrorTag
		switch {
		case err == nil:
			b.take(f)
		case errors.As(err, &gap):
			err = b.report(b.item(gap.Gap.FragmentNumber), gap)
		case errors.As(err, &tag) && tag.FragmentNumber != "":
			err = b.report(b.item(tag.FragmentNumber), tag)
		default:
			refused.err = err
			if !errors.Is(err, io.EOF) {
				refused.err = fmt.Errorf("read %s: %w", d.name, err)
			}
			return refused, b.ended(numbers, refused.err, d)
		}
		if err != nil {
			return refused, err
		}
	}
}
