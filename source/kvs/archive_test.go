package kvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
)

// stored is a recording of n fragments of a second each, the first at a moment on the
// producer's clock. The server's is ahead by ahead.
type stored struct {
	begin     time.Time
	ahead     time.Duration
	recording []byte
	// archived are the chunks as the archive gives them, live as GetMedia does.
	archived, live [][]byte
}

func store(n int, begin time.Time) *stored { return storeAhead(n, begin, time.Minute) }

func storeAhead(n int, begin time.Time, ahead time.Duration) *stored {
	s := &stored{begin: begin, ahead: ahead}
	noise := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		blocks := make([]kvstest.Block, 2)
		for b := range blocks {
			data := make([]byte, 500+noise.IntN(2000))
			for j := range data {
				data[j] = byte(noise.Uint32())
			}
			blocks[b] = kvstest.Block{Track: 1, Key: b == 0, Time: time.Duration(b) * 500 * time.Millisecond, Data: data}
		}
		c := kvstest.Chunk{
			FragmentNumber: number(i),
			ProducerTime:   begin.Add(time.Duration(i) * time.Second),
			ServerTime:     begin.Add(s.ahead + time.Duration(i)*time.Second),
			Tracks:         []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: 16, Height: 16, DefaultDuration: 500 * time.Millisecond}},
			Blocks:         blocks,
			Tags:           []media.Tag{{Name: "place", Value: fmt.Sprint(i)}},
			// Clusters of both kinds, since they end differently.
			UnknownClusterSize: i%2 == 1,
		}
		s.archived = append(s.archived, kvstest.AppendChunk(nil, c))
		c.ContinuationToken = c.FragmentNumber
		s.live = append(s.live, kvstest.AppendChunk(nil, c))
	}
	s.recording = bytes.Join(s.live, nil)
	return s
}

// ago is the moment at which a recording of n fragments begins that ends an hour ago.
func ago(n int) time.Time { return time.Now().Add(-time.Hour - time.Duration(n)*time.Second) }

// archiveConfig is what tests choose of a reader of the archive.
type archiveConfig struct {
	Stream, EndpointURL          string
	Range                        extent
	Fragments                    []string
	MaxFragmentSize, MaxInFlight source.Size
	Connections, BatchSize       int
	HeaderTimeout, StallTimeout  time.Duration
}

func openArchive(awsCfg aws.Config, c archiveConfig, log *slog.Logger) (*archive, error) {
	return newArchive(Config{
		AWS: awsCfg, Stream: c.Stream, EndpointURL: c.EndpointURL, Fragments: c.Fragments,
		MaxFragmentSize: c.MaxFragmentSize, MaxInFlight: c.MaxInFlight, Connections: c.Connections, BatchSize: c.BatchSize,
		HeaderTimeout: c.HeaderTimeout, StallTimeout: c.StallTimeout, Mode: source.ModeArchive, Log: log,
	}, c.Range)
}

// archive reads the archive of cam, and closes it at the end of the test.
func (b *bubble) archive(t *testing.T, cfg archiveConfig) *archive {
	t.Helper()
	cfg.Stream, cfg.EndpointURL = "cam", memoryURL
	a, err := openArchive(b.net.aws(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	return a
}

// drain reads s to its end: numbers as places in the recording, gaps as GAP and the place.
func drain(t *testing.T, s source.Source) (fragments []*media.Fragment, told []string) {
	t.Helper()
	for {
		f, err := s.Next(t.Context())
		var gap *media.GapError
		switch {
		case err == nil:
			fragments = append(fragments, f)
			told = append(told, place(f.Number))
		case errors.As(err, &gap):
			told = append(told, "GAP "+place(gap.Gap.FragmentNumber))
			if gap.Gap.Stream != "cam" || gap.Gap.FrameIndex != media.WholeFragment || gap.Gap.FramesLost != 0 {
				t.Errorf("gap %+v", gap.Gap)
			}
		case errors.Is(err, io.EOF):
			if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("after the end comes %v", err)
			}
			return fragments, told
		default:
			t.Fatalf("after %d fragments: %v", len(fragments), err)
		}
	}
}

// place is the fragment's place in the recording.
func place(text string) string {
	prefix := strings.TrimSuffix(number(0), "0001")
	n, err := strconv.Atoi(strings.TrimPrefix(text, prefix))
	if err != nil {
		return "? " + text
	}
	return strconv.Itoa(n - 1)
}

// row is the places from first to last.
func row(first, last int) []string {
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// checkArchived sees that fragments are chunks first to last, whole and in order.
func checkArchived(t *testing.T, got []*media.Fragment, s *stored, first, last int) {
	t.Helper()
	if len(got) != last-first+1 {
		t.Errorf("%d fragments, want %d", len(got), last-first+1)
	}
	for i, f := range got {
		at := first + i
		if at > last || f.Number != number(at) || f.Cut || !bytes.Equal(f.MKV, s.archived[at]) || len(f.Blocks) != 2 {
			t.Fatalf("fragment %d is %s, cut: %v, %d bytes", at, f.Number, f.Cut, len(f.MKV))
		}
	}
}

func TestArchiveSettingsAreChecked(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		change func(*archiveConfig)
		want   string // the key path, "" for none
	}{
		{"a stream alone", func(*archiveConfig) {}, ""},
		{"no stream", func(c *archiveConfig) { c.Stream = "" }, "stream"},
		{"an endpoint that is no URL", func(c *archiveConfig) { c.EndpointURL = "nowhere" }, "endpoint_url"},
		{"a range that ends before it begins", func(c *archiveConfig) { c.Range = extent{Start: now, End: now} }, "range.end"},
		{"another clock", func(c *archiveConfig) { c.Range.Clock = "wall" }, "range.clock"},
		{"after what is no fragment", func(c *archiveConfig) { c.Range.After.Number = "x" }, "range.after"},
		{"what is no fragment", func(c *archiveConfig) { c.Fragments = []string{"1", "-1"} }, "fragments[1]"},
		{"too many connections", func(c *archiveConfig) { c.Connections = 17 }, "connections"},
		{"too large a batch", func(c *archiveConfig) { c.BatchSize = 101 }, "batch_size"},
		{"no room", func(c *archiveConfig) { c.MaxInFlight = -1 }, "max_in_flight"},
		{"no time", func(c *archiveConfig) { c.StallTimeout = -1 }, "stall_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := archiveConfig{Stream: "cam"}
			c.change(&cfg)
			_, err := openArchive(awsConfig(), cfg, quiet)
			var field *setting.Error
			if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &field) || field.Path != c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheRangeOfASource(t *testing.T) {
	start, end := time.Now(), time.Now().Add(time.Hour)
	for _, c := range []struct {
		cfg  Config
		want extent
	}{
		{
			Config{Mode: source.ModeArchive, Start: source.StartSelector{Type: source.StartServerTimestamp, Timestamp: start}, End: source.End{Timestamp: end}},
			extent{Start: start, End: end, Clock: media.ClockServer},
		},
		{
			Config{Mode: source.ModeAuto, Start: source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: "7"}},
			extent{Clock: media.ClockProducer, After: source.Place{Number: "7"}, Onward: true},
		},
		{
			Config{Mode: source.ModeArchive, Start: source.StartSelector{Type: source.StartEarliest}},
			extent{Clock: media.ClockProducer},
		},
	} {
		if got := rangeOf(c.cfg); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
}

func TestAnArchiveIsReadWholeAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(2500, ago(2500))
		b := newBubble(t, kvstest.Options{Quotas: kvstest.ServiceQuotas(), Link: kvstest.Link{BytesPerSecond: 25e6, Latency: 20 * time.Millisecond}}, s.recording)
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}, MaxInFlight: 2 << 20})
		got, _ := drain(t, a)
		checkArchived(t, got, s, 0, 2499)
		if n := len(b.Calls("ListFragments", "cam")); n < 3 {
			t.Errorf("%d calls of ListFragments, so that the pages were not tried", n)
		}
		if want := int64(len(bytes.Join(s.archived, nil))); a.Stats().BytesRead != want {
			t.Errorf("%d bytes read, want %d", a.Stats().BytesRead, want)
		}
		if share := a.Stats().Share; share != 1 {
			t.Errorf("a share of %v was read", share)
		}
		if a.room.peak > 2<<20 || a.room.peak < 1<<20 || a.room.used != 0 {
			t.Errorf("%d bytes were in flight, %d are left", a.room.peak, a.room.used)
		}
	})
}

func TestAFragmentThatIsLargerThanAllRoomIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(20, ago(20))
		b := newBubble(t, kvstest.Options{}, s.recording)
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}, MaxInFlight: 1})
		got, _ := drain(t, a)
		checkArchived(t, got, s, 0, 19)
		if most := int64(len(slices.MaxFunc(s.archived, func(a, b []byte) int { return len(a) - len(b) }))) + overhead; a.room.peak != most {
			t.Errorf("%d bytes were in flight, the largest fragment has %d", a.room.peak, most)
		}
	})
}

func TestARangeIsTrimmed(t *testing.T) {
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	cases := []struct {
		name         string
		start, end   float64 // seconds from the first fragment on, -1 for none
		first, last  int
		from, closed bool
	}{
		{"on the fragments' borders", 10, 20, 10, 19, false, true},
		{"inside fragments", 10.5, 20.5, 10, 20, true, true},
		{"without an end", 35.25, -1, 35, 39, true, false},
		{"without a start", -1, 5, 0, 4, false, true},
		{"without either", -1, -1, 0, 39, false, false},
		{"inside one fragment", 7.2, 7.3, 7, 7, true, true},
		{"behind all", 40, 50, 40, 39, false, true},
		{"before all", -500, -400, 40, 39, false, true},
		{"a millisecond of one", 3.999, 4, 3, 3, true, true},
	}
	for _, c := range cases {
		for _, clock := range []media.Clock{media.ClockProducer, media.ClockServer} {
			t.Run(fmt.Sprintf("%s, %s", c.name, clock), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := store(40, ago(40).Truncate(time.Second))
					b := newBubble(t, kvstest.Options{}, s.recording)
					zero := s.begin
					if clock == media.ClockServer {
						zero = zero.Add(s.ahead)
					}
					r := extent{Clock: clock}
					if c.start != -1 {
						r.Start = zero.Add(second(c.start))
					}
					if c.end != -1 {
						r.End = zero.Add(second(c.end))
					}
					got, _ := drain(t, b.archive(t, archiveConfig{Range: r}))
					checkArchived(t, got, s, c.first, c.last)
					for i, f := range got {
						var from, until time.Time
						if i == 0 && c.from {
							from = r.Start
						}
						if c.closed {
							until = r.End
						}
						if !f.From.Equal(from) || !f.Until.Equal(until) || (!from.IsZero() || !until.IsZero()) && f.Clock != clock {
							t.Errorf("fragment %d: from %v until %v on %q", i, f.From, f.Until, f.Clock)
						}
					}
				})
			})
		}
	}
}

func TestReadingGoesOnAfterAFragment(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(s *stored) source.Place
		gone  bool
		first int
	}{
		{"whose clocks are known", func(s *stored) source.Place {
			return source.Place{Number: number(11), ProducerTime: s.begin.Add(11 * time.Second), ServerTime: s.begin.Add(s.ahead + 11*time.Second)}
		}, false, 12},
		{"whose clocks are looked up", func(*stored) source.Place { return source.Place{Number: number(11)} }, false, 12},
		{"that is not there any more", func(*stored) source.Place { return source.Place{Number: number(11)} }, true, 12},
		{"that is the last one", func(*stored) source.Place { return source.Place{Number: number(29)} }, false, 30},
	} {
		for _, onward := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, onward: %v", c.name, onward), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := store(30, ago(30))
					b := newBubble(t, kvstest.Options{}, s.recording)
					if c.gone {
						if err := b.SetFaults([]kvstest.Fault{{Kind: kvstest.FaultMissing, Fragment: number(11)}}); err != nil {
							t.Fatal(err)
						}
					}
					got, _ := drain(t, b.archive(t, archiveConfig{Range: extent{After: c.after(s), Onward: onward}}))
					checkArchived(t, got, s, c.first, 29)
				})
			})
		}
	}
}

func TestOnwardReadingIsWhatGetMediaGives(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     func(s *stored) extent
		first int
		from  bool
	}{
		{"from a moment on the producer's clock", func(s *stored) extent { return extent{Start: s.begin.Add(4500 * time.Millisecond)} }, 4, true},
		{"from a moment on the server's clock", func(s *stored) extent {
			return extent{Start: s.begin.Add(s.ahead + 4500*time.Millisecond), Clock: media.ClockServer}
		}, 4, true},
		{"from the moment of a fragment", func(s *stored) extent { return extent{Start: s.begin.Add(4 * time.Second)} }, 4, false},
		{"from the oldest one", func(*stored) extent { return extent{} }, 0, false},
		{"from a moment after all", func(s *stored) extent { return extent{Start: s.begin.Add(time.Hour)} }, 30, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(30, ago(30))
				b := newBubble(t, kvstest.Options{}, s.recording)
				r := c.r(s)
				r.Onward = true
				got, _ := drain(t, b.archive(t, archiveConfig{Range: r}))
				checkArchived(t, got, s, c.first, 29)
				for i, f := range got {
					var from time.Time
					if i == 0 && c.from {
						from = r.Start
					}
					if !f.From.Equal(from) || !f.Until.IsZero() {
						t.Errorf("fragment %d: from %v until %v", i, f.From, f.Until)
					}
				}
			})
		})
	}
}

func TestOnwardReadingLeavesTheNewestSecondsToTheLiveStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(60, time.Now().Add(-time.Minute-60*time.Second)) // the last one a second ago
		b := newBubble(t, kvstest.Options{}, s.recording)
		got, _ := drain(t, b.archive(t, archiveConfig{Range: extent{Onward: true}}))
		checkArchived(t, got, s, 0, 49)
	})
}

func TestNamedFragmentsAreReadAndNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(30, ago(30))
		b := newBubble(t, kvstest.Options{}, s.recording)
		a := b.archive(t, archiveConfig{Fragments: []string{number(20), number(3), number(20), number(29)}})
		if _, told := drain(t, a); strings.Join(told, " ") != "3 20 29" {
			t.Errorf("got %v", told)
		}
		if n := len(b.Calls("ListFragments", "cam")); n != 0 {
			t.Errorf("%d calls of ListFragments", n)
		}
		if a.room.used != 0 {
			t.Errorf("%d bytes are left in flight", a.room.used)
		}
	})
}

func TestTheListTellsWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(1200, ago(1200))
		b := newBubble(t, kvstest.Options{}, s.recording)
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin.Add(100*time.Second + time.Millisecond)}})
		i := 100
		for f, err := range a.listed(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			start := s.begin.Add(time.Duration(i) * time.Second)
			// The SDK reads times with an error of a millisecond.
			if f.Number != number(i) || start.Sub(f.ProducerTime).Abs() > time.Millisecond || start.Add(s.ahead).Sub(f.ServerTime).Abs() > time.Millisecond ||
				f.Length != time.Second || f.Bytes != int64(len(s.archived[i])) {
				t.Fatalf("fragment %d is listed as %+v", i, f)
			}
			i++
		}
		if i != 1200 {
			t.Errorf("the list ends before %d", i)
		}
		if n := len(b.Calls("GetMediaForFragmentList", "cam")); n != 0 {
			t.Errorf("%d calls for media", n)
		}
	})
}

func TestALongRangeTakesFewCallsAndLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(4000, time.Now().Add(-1000*time.Hour))
		b := newBubble(t, kvstest.Options{Quotas: kvstest.ServiceQuotas()}, s.recording)
		before := time.Now()
		got, _ := drain(t, b.archive(t, archiveConfig{}))
		checkArchived(t, got, s, 0, 3999)
		if n := len(b.Calls("ListFragments", "cam")); n > 60 {
			t.Errorf("%d calls of ListFragments", n)
		}
		if d := time.Since(before); d > 25*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestTheOrderIsThatOfNumbersWithinAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A producer that goes back two minutes after its tenth fragment, within an hour.
		begin := time.Now().Add(-48 * time.Hour).Truncate(time.Hour).Add(30 * time.Minute)
		var recording []byte
		for i := range 20 {
			at := begin.Add(time.Duration(i) * time.Second)
			if i >= 10 {
				at = at.Add(-2 * time.Minute)
			}
			recording = kvstest.AppendChunk(recording, kvstest.Chunk{
				FragmentNumber: number(i), ProducerTime: at, ServerTime: begin.Add(time.Duration(i) * time.Second),
				Blocks: []kvstest.Block{{Track: 1, Key: true, Data: []byte("x")}},
				Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST"}}, ContinuationToken: number(i),
			})
		}
		b := newBubble(t, kvstest.Options{}, recording)
		if _, told := drain(t, b.archive(t, archiveConfig{})); !slices.Equal(told, row(0, 19)) {
			t.Errorf("got %v", told)
		}
	})
}

func TestACancelledNextCanBeCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(10, ago(10))
		b := newBubble(t, kvstest.Options{}, s.recording, kvstest.Fault{Kind: kvstest.FaultSlow, Delay: 5 * time.Second})
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		got, _ := drain(t, a)
		checkArchived(t, got, s, 0, 9)
	})
}

func TestClosingEndsEverything(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault kvstest.Fault
		read  int
	}{
		{"before the first call", kvstest.Fault{Kind: kvstest.FaultSlow, Rate: 1 << 20}, 0},
		{"in the middle", kvstest.Fault{Kind: kvstest.FaultSlow, Rate: 1 << 20}, 30},
		{"while it waits for a byte", kvstest.Fault{Kind: kvstest.FaultStall, Op: "GetMediaForFragmentList", Bytes: 10_000}, 1},
		{"while it waits for a list", kvstest.Fault{Kind: kvstest.FaultSlow, Op: "ListFragments", Delay: time.Hour}, -1},
		{"while it is throttled", kvstest.Fault{Kind: kvstest.FaultThrottle}, -1},
		{"while it waits for a fragment", kvstest.Fault{Kind: kvstest.FaultMissing, Op: "GetMediaForFragmentList"}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(200, ago(200))
				b := newBubble(t, kvstest.Options{}, s.recording, c.fault)
				a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}, MaxInFlight: 64 << 10})
				for range c.read {
					if _, err := a.Next(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				done := make(chan error, 1)
				if c.read < 0 {
					go func() { _, err := a.Next(t.Context()); done <- err }()
					time.Sleep(time.Second)
				}
				if err := a.Close(); err != nil {
					t.Error(err)
				}
				if c.read < 0 {
					if err := <-done; !errors.Is(err, fs.ErrClosed) {
						t.Errorf("a waiting Next returns %v", err)
					}
				}
				if _, err := a.Next(t.Context()); !errors.Is(err, fs.ErrClosed) {
					t.Errorf("after Close comes %v", err)
				}
				synctest.Wait()
				if n := b.net.open.Load(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
				if n := b.Active(); n != 0 {
					t.Errorf("%d calls are being served", n)
				}
			})
		})
	}
}
