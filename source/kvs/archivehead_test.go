package kvs

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

func TestTheEarliestFragmentIsFoundInAFewCalls(t *testing.T) {
	for _, c := range []struct{ fragments, most int }{{0, 3}, {1, 2}, {20, 2}, {1000, 2}, {1500, 7}, {3600, 9}} {
		t.Run(fmt.Sprint(c.fragments), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Of one hour, so that the windows after the search are one.
				s := store(max(1, c.fragments), time.Now().Add(-5*time.Hour).Truncate(time.Hour))
				var faults []kvstest.Fault
				if c.fragments == 0 {
					faults = append(faults, kvstest.Fault{Kind: kvstest.FaultMissing, Op: "ListFragments"})
				}
				b := newBubble(t, kvstest.Options{}, s.recording, faults...)
				i := 0
				for f, err := range List(t.Context(), b.config(Config{Mode: source.ModeArchive, End: source.End{Timestamp: time.Now()}})) {
					if err != nil || f.Number != number(i) {
						t.Fatalf("fragment %d is %s, %v", i, f.Number, err)
					}
					i++
				}
				calls := len(b.Calls("ListFragments", "cam"))
				t.Logf("%d fragments in %d calls", i, calls)
				if i != c.fragments || calls > c.most {
					t.Errorf("%d fragments in %d calls, want %d in %d", i, calls, c.fragments, c.most)
				}
			})
		})
	}
}

func TestOnlyWhatIsUsedIsRead(t *testing.T) {
	const n = 300
	for _, c := range []struct {
		name  string
		end   source.End
		gone  []int
		want  int // the fragments that come
		reads int // the fragments that are asked for
	}{
		{"a count", source.End{Fragments: 10}, nil, 10, 10},
		{"a length", source.End{Duration: 20 * time.Second}, nil, 20, 20},
		{"both", source.End{Fragments: 30, Duration: 20 * time.Second}, nil, 20, 20},
		{"a count of which some are gone", source.End{Fragments: 10}, []int{0, 4}, 10, 12},
		{"a length whose first ones are gone", source.End{Duration: 20 * time.Second}, []int{0, 1}, 20, 22},
		{"a count beyond the archive", source.End{Fragments: 2 * n}, nil, n, n},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(n, ago(n))
				var faults []kvstest.Fault
				for _, i := range c.gone {
					faults = append(faults, kvstest.Fault{Kind: kvstest.FaultMissing, Op: mediaOp, Fragment: number(i)})
				}
				b := newBubble(t, kvstest.Options{}, s.recording, faults...)
				a := b.archive(t, archiveConfig{Range: rangeOf(Config{Mode: source.ModeArchive, Start: earliest, End: c.end})})
				var bytes int64
				for i := range c.reads {
					if !slices.Contains(c.gone, i) {
						bytes += int64(len(s.archived[i]))
					}
				}
				fragments, told := drain(t, source.WithEnd(a, c.end, media.ClockProducer))
				if len(fragments) != c.want || len(told) != c.reads {
					t.Errorf("%d fragments, told %v", len(fragments), told)
				}
				// Error chunks have some hundred bytes.
				if read := a.Stats().BytesRead; read < bytes || read > bytes+int64(len(c.gone))*maxAbsent*500 {
					t.Errorf("%d bytes were read, want %d", read, bytes)
				}
			})
		})
	}
}

func TestAnEmptyRangeTellsWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(20, ago(20))
		b := newBubble(t, kvstest.Options{}, s.recording)
		log, told := newLines()
		from, to := s.begin.Add(-2*time.Hour), s.begin.Add(-time.Hour)
		a, err := openArchive(b.net.aws(), archiveConfig{Stream: "cam", EndpointURL: memoryURL, Range: extent{Start: from, End: to}}, log)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
		want := fmt.Sprintf("nothing between %s and %s; the stream holds %s to %s by the producer's clock", stamp(from), stamp(to), stamp(s.begin), stamp(s.begin.Add(19*time.Second)))
		if !strings.Contains(told.String(), want) {
			t.Errorf("got  %s\nwant %s", told.String(), want)
		}
	})
}
