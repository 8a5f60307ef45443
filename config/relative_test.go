package config

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 34, 56, 789e6, time.FixedZone("", -13*3600)) // in UTC it is the next day

func TestTimesMayBeRelative(t *testing.T) {
	for text, want := range map[string]string{
		"now": "2026-03-02T01:34:56Z", "now-24h": "2026-03-01T01:34:56Z", "now+90m": "2026-03-02T03:04:56Z",
		"today": "2026-03-02T00:00:00Z", "yesterday": "2026-03-01T00:00:00Z", "yesterday+8h30m": "2026-03-01T08:30:00Z",
	} {
		if at, ok, err := relativeTime(text, noon); !ok || err != nil || at.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v, %v, want %s", text, at, ok, err, want)
		}
	}
	for _, text := range []string{"", "noon", "nowhere", "todays", "tomorrow", "2026-03-01T00:00:00Z", " now"} {
		if at, ok, err := relativeTime(text, noon); ok || err != nil {
			t.Errorf("%q is %v, %v", text, at, err)
		}
	}
	for _, text := range []string{"now-24", "now-", "today+-1h", "now-1d"} {
		if at, ok, err := relativeTime(text, noon); !ok || err == nil {
			t.Errorf("%q is %v, %v", text, at, ok)
		}
	}
}

const ofADay = `
source: {streams: [cam], mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: "${SINCE:-yesterday}"}, end: {timestamp: %s}}
sinks: [{name: a}]
`

// loadAt loads ofADay with an end, at a time.
func loadAt(t *testing.T, end string, now time.Time, set ...string) (*Config, error) {
	t.Helper()
	return Load(Options{Path: "p.yaml", Reader: strings.NewReader(strings.ReplaceAll(ofADay, "%s", end)), Set: set, Now: now})
}

func TestRelativeTimesStandForThemselves(t *testing.T) {
	one, err := loadAt(t, "today", noon)
	if err != nil {
		t.Fatal(err)
	}
	later, err := loadAt(t, "today", noon.Add(48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	from, _ := one.Source.KVS()
	if got := from.StartSelector.Timestamp.Format(time.RFC3339) + " " + one.Source.End.Timestamp.Format(time.RFC3339); got != "2026-03-01T00:00:00Z 2026-03-02T00:00:00Z" {
		t.Errorf("it reads %s", got)
	}
	if one.Source.End.Timestamp.Equal(later.Source.End.Timestamp) || one.Fragments() != later.Fragments() || one.End() != later.End() {
		t.Error("two days are told apart, or have the same end")
	}
	oneDigest, _ := one.Digest()
	if laterDigest, _ := later.Digest(); oneDigest != laterDigest {
		t.Error("two days have other digests")
	}
	absolute, err := loadAt(t, "2026-03-02T00:00:00Z", noon)
	if err != nil || absolute.End() == one.End() {
		t.Errorf("today stands for its date: %v", err)
	}
	start, end := absolute.Relative()
	if allStart, allEnd := one.Relative(); !start || end || !allStart || !allEnd {
		t.Error("what is relative is not told")
	}
	var printed strings.Builder
	if err := one.Print(&printed); err != nil || !strings.Contains(printed.String(), `timestamp: "${SINCE:-yesterday}"`) || !strings.Contains(printed.String(), `timestamp: "today"`) {
		t.Errorf("printed %v\n%s", err, &printed)
	}
	for end, want := range map[string]string{
		"yesterday": "source.end.timestamp: is not after start_selector.timestamp",
		"today-1d":  `source.end.timestamp: "today-1d": "1d" is not a duration`,
		"tomorrow":  `source.end.timestamp: "tomorrow" is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or now-24h, today, yesterday`,
	} {
		if _, err := loadAt(t, end, noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %s", end, err, want)
		}
	}
	if flagged, err := loadAt(t, "today", noon, "source.end.timestamp=now"); err != nil || flagged.Source.End.Timestamp.Format(time.RFC3339) != "2026-03-02T01:34:56Z" {
		t.Errorf("with a flag %v", err)
	}
}
