package source

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// crossingCase is what the passes over the archive and the live stream bring.
type crossingCase struct {
	name string
	// passes are the archive's, one for each time that it is opened: sessions or errors.
	passes []any
	live   scriptedSession
	want   string
	// asked are the places that the archive was opened after, and where the live stream
	// was started.
	asked string
}

func gaps(numbers ...int) scriptedSession {
	var s scriptedSession
	for _, n := range numbers {
		s = append(s, payload.NewGap("cam", num(n), errors.New("gone"), 0))
	}
	return s
}

func plus(sessions ...scriptedSession) scriptedSession {
	var all scriptedSession
	for _, s := range sessions {
		all = append(all, s...)
	}
	return all
}

// describeStart names where a live stream begins.
func describeStart(s StartSelector) string {
	if s.Type == StartFragmentNumber {
		return "live after " + short47(s.AfterFragmentNumber)
	}
	return "live at " + string(s.Type)
}

func (c crossingCase) run(t *testing.T) {
	var asked []string
	var opened []*playing
	play := func(s scriptedSession) Source {
		p := &playing{steps: s, gone: make(chan struct{})}
		opened = append(opened, p)
		return p
	}
	src := NewCrossing(CrossingConfig{
		Stream: "cam",
		Start:  StartSelector{Type: StartEarliest},
		Archive: func(after Place) (Source, error) {
			asked = append(asked, "archive after "+short47(after.Number))
			pass := c.passes[0]
			c.passes = c.passes[1:]
			if err, ok := pass.(error); ok {
				return nil, err
			}
			return play(pass.(scriptedSession)), nil
		},
		Live: func(start StartSelector) Source {
			asked = append(asked, describeStart(start))
			return play(c.live)
		},
	})
	if got := strings.Join(read(t, src, time.Hour), ", "); got != c.want {
		t.Errorf("got  %s\nwant %s", got, c.want)
	}
	if got := strings.Join(asked, ", "); got != c.asked {
		t.Errorf("asked %s\nwant  %s", got, c.asked)
	}
	var bytes int64
	for _, p := range opened {
		bytes += p.Stats().BytesRead
	}
	if src.Stats().BytesRead != bytes {
		t.Errorf("%d bytes read, want %d", src.Stats().BytesRead, bytes)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	for i, p := range opened {
		if !p.closed {
			t.Errorf("source %d is left open", i)
		}
	}
	if _, err := src.Next(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close comes %v", err)
	}
}

func TestCrossing(t *testing.T) {
	many := make([]int, maxHeld+2)
	wantMany := make([]string, 0, len(many))
	for i := range many {
		many[i] = i + 1
		if i < 2 {
			wantMany = append(wantMany, "gap "+short47(num(i+1)))
		}
	}
	for _, c := range []crossingCase{
		{"a short archive, then live", []any{frags(1, 3)}, frags(4, 5), "1, 2, 3, 4, 5, EOF", "archive after , live after 3"},
		{"an empty archive", []any{play()}, frags(4, 5), "4, 5, EOF", "archive after , live at EARLIEST"},
		{"a stream that keeps none", []any{coded(CodeNoRetention)}, frags(4, 5), "4, 5, EOF", "archive after , live at EARLIEST"},
		{"an archive that ends to be kept", []any{plus(frags(1, 2), play(coded(CodeNoRetention)))}, frags(3, 3), "1, 2, 3, EOF", "archive after , live after 2"},
		{"a long archive is read once more", []any{plus(frags(1, 2), play(2*time.Minute)), frags(3, 4)}, frags(5, 5), "1, 2, 3, 4, 5, EOF", "archive after , archive after 2, live after 4"},
		{"a long archive without anything is not", []any{play(2 * time.Minute)}, frags(5, 5), "5, EOF", "archive after , live at EARLIEST"},
		{"a gap between fragments", []any{plus(frags(1, 1), gaps(2), frags(3, 3))}, frags(4, 4), "1, gap 2, 3, 4, EOF", "archive after , live after 3"},
		{"gaps at the end are left to the live stream", []any{plus(frags(1, 1), gaps(2, 3))}, frags(2, 4), "1, 2, 3, 4, EOF", "archive after , live after 1"},
		{"gaps at the end of a long pass are asked for again", []any{plus(frags(1, 1), play(2*time.Minute), gaps(2)), frags(2, 3)}, frags(4, 4), "1, 2, 3, 4, EOF", "archive after , archive after 1, live after 3"},
		{"more gaps than can be about to come", []any{gaps(many...)}, frags(3, 3), strings.Join(wantMany, ", ") + ", 3, EOF", "archive after , live after 2"},
		{"a refusal", []any{plus(frags(1, 1), gaps(2), play(coded("NotAuthorizedException")))}, nil, "1, gap 2, fatal", "archive after "},
		{"an archive that cannot be opened", []any{errors.New("no region")}, nil, "fatal", "archive after "},
	} {
		t.Run(c.name, func(t *testing.T) { synctest.Test(t, c.run) })
	}
}

func TestCompareNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"9", "10", -1}, {"10", "9", 1}, {"0009", "9", 0}, {num(1) + "0", num(2), 1}} {
		if got := media.CompareNumbers(c.a, c.b); got != c.want {
			t.Errorf("%s against %s: %d", c.a, c.b, got)
		}
	}
}
