package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// The keys of the times between which a stream is read.
const (
	startKey = "source.start_selector.timestamp"
	endKey   = "source.end.timestamp"
)

// relativePattern matches what relativeTime reads, without anchors.
const relativePattern = "(now|today|yesterday)([+-]" + setting.DurationPattern + ")?"

// relativeTime returns the time that text states relative to now, and false for other text: now, today or yesterday, which begin at
// midnight in UTC, and then perhaps a duration such as -24h or +8h.
func relativeTime(text string, now time.Time) (at time.Time, ok bool, err error) {
	now = now.UTC().Truncate(time.Second)
	const day = 24 * time.Hour
	for name, at := range map[string]time.Time{"now": now, "today": now.Truncate(day), "yesterday": now.Truncate(day).Add(-day)} {
		rest, ok := strings.CutPrefix(text, name)
		switch {
		case !ok:
		case rest == "":
			return at, true, nil
		case rest[0] == '-' || rest[0] == '+':
			d, err := parseDuration(rest[1:])
			if rest[0] == '-' {
				d = -d
			}
			if err != nil {
				err = fmt.Errorf("%q: %w", setting.Short(text), err)
			}
			return at.Add(d), true, err
		}
	}
	return time.Time{}, false, nil
}

// resolve replaces the times of the file's keys that are relative by what they are now.
func (l *loader) resolve(now time.Time) {
	for _, k := range l.schema.file.keys {
		if k.Type != reflect.TypeFor[time.Time]() {
			continue
		}
		text := l.file.text(k.Path, "")
		at, ok, err := relativeTime(text, now)
		if !ok || err != nil {
			continue
		}
		in, _ := l.file.from(k.Path)
		s := l.file[in][k.Path]
		s.value = at.Format(time.RFC3339)
		if s.shown == "" {
			s.shown = text
		}
		l.file[in][k.Path], l.relative[k.Path] = s, text
	}
}

// Relative reports whether the times between which streams are read were relative to the time at which the settings were loaded.
func (c *Config) Relative() (start, end bool) {
	return c.relative[startKey] != "", c.relative[endKey] != ""
}
