//go:build cgo && linux

package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/sandbox"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// The test program is its own child. A mark that is not that of the package makes it misbehave.
const misbehaves = "test-"

// trigger is what a fragment ends with that makes its process misbehave.
var trigger = []byte("the end of the decoder")

func init() {
	how, ok := strings.CutPrefix(sandbox.Mark(), misbehaves)
	if !ok {
		return
	}
	how = strings.ReplaceAll(how, "_", " ")
	if how == "start" {
		os.Exit(9)
	}
	listen()
	served := 0
	serve(func(w *worker, ctx context.Context, what work, before *continuous, give func(*continuous), to results) (int, error) {
		served++
		if !bytes.HasSuffix(what.mkv, trigger) || (how == "used" || how == "asleep") && served == 1 {
			return w.fragment(ctx, what, before, give, to)
		}
		return misbehaviours[how](w, what, to.(*reporter))
	})
	os.Exit(0)
}

// misbehaviours are what a process does instead of decoding a fragment.
var misbehaviours = map[string]func(w *worker, what work, to *reporter) (int, error){
	"segv":   func(*worker, work, *reporter) (int, error) { return raise(syscall.SIGSEGV) },
	"abort":  func(*worker, work, *reporter) (int, error) { return raise(syscall.SIGABRT) },
	"used":   func(*worker, work, *reporter) (int, error) { return raise(syscall.SIGSEGV) },
	"asleep": func(*worker, work, *reporter) (int, error) { select {} },
	"late": func(w *worker, what work, to *reporter) (int, error) {
		half := &failing{results: to, left: len(what.plan.InOrder) / 2}
		_, _ = w.fragment(context.Background(), what, nil, func(*continuous) {}, half)
		return raise(syscall.SIGSEGV)
	},
	"call": func(*worker, work, *reporter) (int, error) {
		_, _, _ = syscall.RawSyscall(syscall.SYS_SYNC, 0, 0, 0)
		return 0, nil
	},
	"panic": func(*worker, work, *reporter) (int, error) { panic("\x1b[31mnot today") },
	"loop": func(*worker, work, *reporter) (int, error) {
		for n := 0; ; n++ {
			if n < 0 {
				return 0, nil
			}
		}
	},
	"flood": func(_ *worker, _ work, to *reporter) (int, error) {
		for {
			to.child.send(message{head: head{Kind: msgFull}})
			to.child.receive(msgGoOn)
		}
	},
	"memory": func(*worker, work, *reporter) (int, error) {
		var all [][]byte
		for range 64 { // 2 GiB
			all = append(all, make([]byte, 32<<20))
		}
		return len(all), nil
	},
	"nonsense": func(_ *worker, _ work, to *reporter) (int, error) {
		_ = to.child.line.Send([]byte("nonsense"))
		return to.stay()
	},
	"long": func(_ *worker, _ work, to *reporter) (int, error) {
		_ = to.child.line.Send(bytes.Repeat([]byte("x"), 2*mostMessage))
		return to.stay()
	},
	"silence": func(*worker, work, *reporter) (int, error) { return 0, nil },
	"gone": func(_ *worker, _ work, to *reporter) (int, error) {
		_ = syscall.Close(3)
		select {}
	},
	"beyond": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Offset = 1 << 62 })
	},
	"endless": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Total = 1 << 62 })
	},
	"large": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Width, h.Height = 1<<31, 1<<31 })
	},
	"frame": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Frame = 1 << 31 })
	},
	"output": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Output = 7 })
	},
	"last first": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Frame = uint32(what.plan.InOrder[len(what.plan.InOrder)-1]) })
	},
	"rejected": func(_ *worker, what work, to *reporter) (int, error) { // frames of an output that gets all
		to.rejected = appendRejected(nil, rejected{frame: what.plan.InOrder[0], measured: &media.Measured{}})
		to.flush()
		return to.stay()
	},
	// The picture says another size than the message.
	"header": func(_ *worker, what work, to *reporter) (int, error) {
		return to.forge(what, func(h *head) { h.Width++ })
	},
	"cut": func(_ *worker, what work, to *reporter) (int, error) {
		if err := syscall.Ftruncate(4, 0); err == nil { // parent and child would end as soon as they read
			return raise(syscall.SIGBUS)
		}
		return raise(syscall.SIGSEGV)
	},
}

func raise(s syscall.Signal) (int, error) {
	_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(s))
	return 0, errors.New("the signal did nothing")
}

// stay waits for the parent, which should have noticed something.
func (r *reporter) stay() (int, error) {
	r.child.receive(msgGoOn)
	return 0, nil
}

// forge sends an image of the first frame with a head that change has changed.
func (r *reporter) forge(what work, change func(*head)) (int, error) {
	const w, h = 160, 90
	data := make([]byte, w*h)
	if what.outputs[0].Format == FormatJPEG {
		data = []byte("\xff\xd8")
	}
	m := message{head: head{Kind: msgImage, Frame: uint32(what.plan.InOrder[0]), Width: w, Height: h, Total: uint64(len(data))}}
	m.Offset, m.Size = r.child.put(data)
	change(&m.head)
	r.child.send(m)
	return r.stay()
}

// failing fails after some images.
type failing struct {
	results
	left int
}

func (f *failing) image(k, output int, img media.Image) error {
	if f.left--; f.left < 0 {
		return errStopped
	}
	return f.results.image(k, output, img)
}

// misbehaving returns a pool of two workers whose processes misbehave, and what it logs.
func misbehaving(t *testing.T, how string, change func(*Config)) (*Pool, *bytes.Buffer) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Workers, cfg.Isolation = 2, IsolationProcess
	if change != nil {
		change(&cfg)
	}
	var log bytes.Buffer
	p, err := newPool(cfg, slog.New(slog.NewTextHandler(&locked{to: &log}, nil)), misbehaves+strings.ReplaceAll(how, " ", "_"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, &log
}

// locked lets several goroutines write.
type locked struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

// triggering returns fragments of which one makes its process misbehave.
func triggering(frags []*media.Fragment, which int) []*media.Fragment {
	out := slices.Clone(frags)
	f := *frags[which]
	f.MKV = append(bytes.Clone(f.MKV), trigger...)
	out[which] = &f
	return out
}

// dies is what is left of a fragment that makes its process misbehave.
type dies struct {
	detail string // of the gap; none if it is empty
	images int
}

// pictures is the number of those in a fragment of the clip.
const pictures = 10

// check decodes several streams at once. The first one has a fragment that makes its process misbehave.
func (c dies) check(t *testing.T, how string) {
	const bad = 1
	clip := slices.Repeat(fragments(t, "testdata/small.mkv"), 3)
	small := everyFrame()
	small.PixelFormat = PixelGray
	want, _ := decodeAll(t, stream(t, newTestPool(t, nil), small), clip)
	p, log := misbehaving(t, how, func(c *Config) { c.MaxPixels = 1 << 20 })
	p.processes.patience = func(work) patience { return patience{cpu: time.Second / 2, wall: time.Hour} }
	if how == "asleep" { // which is no fault of the fragment
		p.processes.patience = func(work) patience { return patience{cpu: time.Hour, wall: time.Second / 2} }
	}
	if how == "gone" { // it never ends
		p.processes.grace = 0
	}
	var running sync.WaitGroup
	for n := range 5 {
		frags := of(fmt.Sprint("stream ", n), clip)
		if n == 0 {
			frags = triggering(frags, bad)
		}
		s := stream(t, p, small)
		running.Go(func() {
			images, outcomes := decodeAll(t, s, frags)
			for i := range frags {
				if n == 0 && i == bad && c.detail != "" {
					continue
				}
				if len(outcomes[i].Gaps) > 0 || !slices.EqualFunc(images[i], want[i], func(a, b media.Image) bool { return bytes.Equal(a.Data, b.Data) }) {
					t.Errorf("stream %d, fragment %d: %d images, gaps %+v", n, i, len(images[i]), outcomes[i].Gaps)
				}
			}
			if n == 0 && c.detail != "" {
				gaps := outcomes[bad].Gaps
				if len(gaps) != 1 || gaps[0].Reason != media.GapDecoder || !strings.Contains(gaps[0].Detail, c.detail) ||
					gaps[0].FramesLost != len(want[bad])-c.images || len(images[bad]) != c.images {
					t.Errorf("%d images, gaps %+v", len(images[bad]), gaps)
				}
			}
			s.End()
		})
	}
	running.Wait()
	deaths := 2
	switch {
	case how == "asleep":
		deaths = 0
	case c.detail == "":
		deaths = 1
	}
	if n := strings.Count(log.String(), "died of a fragment"); n != deaths {
		t.Errorf("%d deaths, want %d:\n%s", n, deaths, log)
	}
	if stats := p.Stats(); stats.Died != int64(deaths) || (stats.Ended > 0) != (how == "asleep") || stats.Fragments < 5 || stats.Busy <= 0 {
		t.Errorf("the pool counts %+v", stats)
	}
}

// TestAProcessThatDiesCostsOneFragment has processes end in the middle of a fragment, in every way.
func TestAProcessThatDiesCostsOneFragment(t *testing.T) {
	for how, c := range map[string]dies{
		"segv":       {detail: "signal: segmentation fault"},
		"abort":      {detail: "signal: aborted"},
		"call":       {detail: "signal: bad system call"},
		"panic":      {detail: "it panicked: ?[31mnot today"},
		"late":       {detail: "signal: segmentation fault", images: pictures / 2},
		"used":       {images: pictures},
		"asleep":     {images: pictures},
		"loop":       {detail: "processor time"},
		"flood":      {detail: "processor time"},
		"cut":        {detail: "signal: segmentation fault"},
		"gone":       {detail: "it closed its connection"},
		"nonsense":   {detail: "no message"},
		"long":       {detail: "no message"},
		"silence":    {detail: "makes no sense"},
		"beyond":     {detail: "makes no sense"},
		"endless":    {detail: "makes no sense"},
		"large":      {detail: "makes no sense"},
		"frame":      {detail: "makes no sense"},
		"output":     {detail: "makes no sense"},
		"last first": {detail: "makes no sense"},
		"rejected":   {detail: "makes no sense"},
		"header":     {detail: "makes no sense"},
	} {
		t.Run(how, func(t *testing.T) { c.check(t, how) })
	}
}

// children returns the processes that p has, idle ones and those of chains.
func children(p *Pool) (pids []int) {
	p.idle.mu.Lock()
	defer p.idle.mu.Unlock()
	for _, e := range p.idle.idle {
		if own := e.(*isolated).p; own != nil {
			pids = append(pids, own.PID())
		}
	}
	p.processes.mu.Lock()
	defer p.processes.mu.Unlock()
	for _, h := range p.processes.held {
		pids = append(pids, h.process.PID())
	}
	return pids
}

// TestAProcessThatIsKilledLosesAndRepeatsNothing kills the process of each fragment: while it decodes, and while it waits for the next one.
func TestAProcessThatIsKilledLosesAndRepeatsNothing(t *testing.T) {
	rng := soaktest.Rand(t)
	for _, c := range dependent[:cases(6, len(dependent))] {
		t.Run(fmt.Sprint(c.name, " ", c.cut), func(t *testing.T) {
			frags := dependentFragments(t, c.name, c.cut)
			want, wanted := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
			p := newTestPool(t, func(c *Config) { c.Isolation = IsolationProcess })
			s := stream(t, p, everyFrame())
			for i, f := range frags {
				for _, pid := range children(p) {
					if rng.IntN(3) == 0 {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
				kill := rng.IntN(3 * max(1, len(want[i])))
				var got []media.Image
				outcome, err := s.Plan(f)(t.Context(), func(img media.Image) error {
					if got = append(got, img); len(got) == kill {
						killBusy(t, p)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if d := (seen{got, outcome}).differs(seen{want[i], wanted[i]}); d != "" {
					t.Errorf("fragment %d: %s", i, d)
				}
			}
			s.End()
		})
	}
}

// killBusy kills all children of this program but the ones that are idle.
func killBusy(t *testing.T, p *Pool) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	spared := children(p)
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if fields[1] == strconv.Itoa(os.Getpid()) && !slices.Contains(spared, pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TestAFragmentOfAChainThatKillsItsDecoderIsTheOnlyOneLost has a fragment that kills, and later ones that are led up.
func TestAFragmentOfAChainThatKillsItsDecoderIsTheOnlyOneLost(t *testing.T) {
	const bad = 2
	p, log := misbehaving(t, "segv", func(c *Config) { c.Workers = 1 })
	frags := rechunk(t, "testdata/refresh.mkv", 5)
	images, outcomes := decodeAll(t, stream(t, p, everyFrame()), triggering(frags, bad))
	for i, o := range outcomes {
		switch {
		case i == bad:
			if len(o.Gaps) != 1 || o.Gaps[0].Reason != media.GapDecoder {
				t.Errorf("gaps %+v", o.Gaps)
			}
		case len(o.Gaps) > 0 || len(images[i]) != len(frags[i].Blocks):
			t.Errorf("fragment %d: %d images, gaps %+v", i, len(images[i]), o.Gaps)
		}
	}
	if n := strings.Count(log.String(), "died of a fragment"); n != mostFaults || !images[bad+1][0].Concealed {
		t.Errorf("%d deaths, marked %t:\n%s", n, images[bad+1][0].Concealed, log)
	}
}

// TestAProcessIsReplacedAfterDamageAndAfterManyFragments looks at the process that a stream is left with.
func TestAProcessIsReplacedAfterDamageAndAfterManyFragments(t *testing.T) {
	f := fragments(t, "testdata/slices.mkv")[0]
	p := newTestPool(t, func(c *Config) { c.Isolation = IsolationProcess })
	s := stream(t, p, everyFrame())
	process := func(f *media.Fragment) *process {
		decodeAll(t, s, []*media.Fragment{f})
		return p.idle.idle[0].(*isolated).p
	}
	first := process(f)
	if first == nil || process(f) != first {
		t.Fatal("a process is not used again")
	}
	first.tasks = mostTasks - 1
	if process(f) != nil {
		t.Error("a process is used for ever")
	}
	if process(f) == nil || process(tear(f, 3, 1, torn)) != nil {
		t.Error("a process is used again after damage")
	}
}

// TestNothingOfAStreamIsLeftWhenAProcessServesAnother looks at the memory that the process shares.
func TestNothingOfAStreamIsLeftWhenAProcessServesAnother(t *testing.T) {
	p := newTestPool(t, func(c *Config) { c.Isolation = IsolationProcess })
	decodeAll(t, stream(t, p, everyFrame()), fragments(t, "testdata/bframes.mkv")[:1])
	e := p.idle.idle[0].(*isolated)
	first := e.p
	if first.inUsed < 1000 || first.outUsed < 1000 {
		t.Fatal("the memory is not used")
	}
	in, out := first.inUsed, first.outUsed
	small := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 16})
	decodeAll(t, stream(t, p, small), fragments(t, "testdata/small.mkv"))
	if e.p != first || first.inUsed >= in || first.outUsed >= out {
		t.Fatalf("%d and %d bytes of the memory are used, before %d and %d", first.inUsed, first.outUsed, in, out)
	}
	if n := bytes.Count(first.in[first.inUsed:in], []byte{0}); n != in-first.inUsed {
		t.Error("the memory holds media of another stream")
	}
	if n := bytes.Count(first.out[first.outUsed:out], []byte{0}); n != out-first.outUsed {
		t.Error("the memory holds images of another stream")
	}
}

// TestAChainWithoutMemoryForItsProcessIsLedUp has room for no decoder at all.
func TestAChainWithoutMemoryForItsProcessIsLedUp(t *testing.T) {
	frags := rechunk(t, "testdata/longgop.mkv", 25)
	want, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	p := newTestPool(t, func(c *Config) { c.Isolation, c.MaxMemory = IsolationProcess, 1 })
	other := stream(t, p, everyFrame())
	s := stream(t, p, everyFrame())
	for i, f := range frags {
		images, outcomes := decodeAll(t, s, []*media.Fragment{f})
		if !slices.EqualFunc(images[0], want[i], func(a, b media.Image) bool { return bytes.Equal(a.Data, b.Data) }) || len(outcomes[0].Gaps) > 0 {
			t.Errorf("fragment %d: %d images, %+v", i, len(images[0]), outcomes[0])
		}
		decodeAll(t, other, fragments(t, "testdata/small.mkv")) // takes all memory
		if n := len(p.processes.held); n > 0 {
			t.Errorf("%d processes are held", n)
		}
	}
}

func TestWhereAProcessCannotStartOnlyAutoDecodes(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Isolation = IsolationProcess
	if _, err := newPool(cfg, nil, misbehaves+"start"); err == nil || !strings.Contains(err.Error(), "decode.isolation: start decoder") {
		t.Errorf("error %v", err)
	}
	cfg.Isolation = IsolationAuto
	var log bytes.Buffer
	p, err := newPool(cfg, slog.New(slog.NewTextHandler(&log, nil)), misbehaves+"start")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Isolation() != (Layers{}) || strings.Count(log.String(), "decoders are not isolated") != 1 {
		t.Errorf("%v: %s", p.Isolation(), &log)
	}
}
