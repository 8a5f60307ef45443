package payload

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

func TestTagsAreCutToTheBytesThatKVSTakes(t *testing.T) {
	long := strings.Repeat("x", 300)
	// 43 characters of three bytes are 129: a cut after 128 would lie inside the last.
	wide := strings.Repeat("€", 43)
	for _, c := range []struct {
		name, tagName, value, wantName, wantValue string
		told                                      bool
	}{
		{"both at their most", long[:128], long[:256], long[:128], long[:256], false},
		{"a name of one byte more", long[:129], "v", long[:128], "v", true},
		{"a value of one byte more", "n", long[:257], "n", long[:256], true},
		{"both longer", long, long, long[:128], long[:256], true},
		{"a name cut inside a character", wide, "v", wide[:126], "v", true},
		{"a value cut inside a character", "n", wide + wide, "n", (wide + wide)[:255], true},
	} {
		t.Run(c.name, func(t *testing.T) {
			payload := cat(segment(), header(), opening("7"), cluster(0, key(0)), tags(tag(c.tagName, c.value)), closing("7"))
			log, lines := newJournal()
			f, err := NewSplitter(bytes.NewReader(payload), Config{Log: log}).Next()
			if err != nil {
				t.Fatal(err)
			}
			if want := []media.Tag{{Name: c.wantName, Value: c.wantValue}}; !slices.Equal(f.Tags, want) {
				t.Errorf("tags are %q, want %q", f.Tags, want)
			}
			const warning = "WARN tags are cut to the limits of KVS: a tag's name above 128 bytes or its value above 256"
			if told := slices.Contains(*lines, warning); told != c.told {
				t.Errorf("log is %q, a warning in it: %v, want %v", *lines, told, c.told)
			}
		})
	}
}

func TestTimesFrom1970AreNoticedOnce(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	const warning = "WARN the file has no recording date: times begin in 1970; set source.start_time"
	payload := cat(segment(), header(), cluster(0, key(0)), cluster(1000, key(0)))
	for name, c := range map[string]struct {
		start time.Time
		want  []string
	}{"no date": {time.Time{}, []string{warning}}, "a start time": {start, nil}} {
		t.Run(name, func(t *testing.T) {
			log, lines := newJournal()
			if got := readAll(t, bytes.NewReader(payload), Config{StartTime: c.start, Log: log}); len(got) != 2 {
				t.Errorf("%d fragments, want 2", len(got))
			}
			if !slices.Equal(*lines, c.want) {
				t.Errorf("log is %q, want %q", *lines, c.want)
			}
		})
	}
}

// journal keeps the log: a line of level and message for each record.
type journal struct {
	slog.Handler
	lines *[]string
}

func newJournal() (*slog.Logger, *[]string) {
	lines := &[]string{}
	return slog.New(&journal{slog.DiscardHandler, lines}), lines
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	*j.lines = append(*j.lines, r.Level.String()+" "+r.Message)
	return nil
}
