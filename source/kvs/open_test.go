package kvs

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
)

// first is the first n numbers from 0 on.
func first(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestOpenReadsWhatItsSettingsName(t *testing.T) {
	const n = 20
	for _, c := range []struct {
		name     string
		cfg      Config
		want     []int // of the fragments
		unwanted int
	}{
		{"live", Config{Start: earliest, End: source.End{Fragments: 3}}, []int{0, 1, 2}, 0},
		{"live, of some tags", Config{Start: earliest, Tags: []string{"place=4"}, End: source.End{Fragments: 1}}, []int{0, 1, 2, 3, 4}, 4},
		{"live, by time", Config{Start: earliest, End: source.End{Duration: 4 * time.Second}}, []int{0, 1, 2, 3}, 0},
		{"an archive from its beginning", Config{Mode: source.ModeArchive, End: source.End{Fragments: 2}}, []int{0, 1}, 0},
		{"an archive, of some tags", Config{Mode: source.ModeArchive, Tags: []string{"place=3"}, End: source.End{Fragments: 1}}, []int{0, 1, 2, 3}, 3},
		{"an archive, then live", Config{Mode: source.ModeAuto, End: source.End{Fragments: n}}, first(n), 0},
		{"some fragments", Config{Fragments: []string{number(7), number(2)}, End: source.End{Fragments: 1}, Start: earliest}, []int{2, 7}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newBubble(t, kvstest.Options{}, store(n, ago(n)).recording).open(t, c.cfg)
				var got []int
				for _, f := range collect(t, s) {
					got = append(got, slices.IndexFunc(first(n), func(i int) bool { return number(i) == f.Number }))
				}
				if stats := s.Stats(); !slices.Equal(got, c.want) || stats.Unwanted != c.unwanted || stats.BytesRead == 0 {
					t.Errorf("got %v, %+v; want %v, %d unwanted", got, stats, c.want, c.unwanted)
				}
				if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
					t.Errorf("after the end comes %v", err)
				}
			})
		})
	}
}

func TestOpenRefusesWhatCannotBeRead(t *testing.T) {
	for want, cfg := range map[string]Config{
		"range.end":           {Mode: source.ModeArchive, Start: source.StartSelector{Type: source.StartServerTimestamp, Timestamp: epoch}, End: source.End{Timestamp: epoch}},
		"mode":                {Mode: "backwards"},
		"start_selector.type": {Mode: source.ModeAuto, Start: source.StartSelector{Type: source.StartNow}},
		"fragments[0]":        {Fragments: []string{"x"}},
	} {
		cfg.AWS, cfg.Stream = awsConfig(), "cam"
		_, err := Open(t.Context(), cfg)
		var field *setting.Error
		if !errors.As(err, &field) || field.Path != want || !strings.Contains(err.Error(), "open ") {
			t.Errorf("got %v, want a problem of %s", err, want)
		}
	}
}

func TestOpenTakesTheChainsCredentials(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-3")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	_, e := emulate(t, kvstest.Options{Region: "eu-west-3"})
	s, err := Open(t.Context(), Config{Stream: "cam", EndpointURL: e.url, Start: earliest, End: source.End{Fragments: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := collect(t, s); len(got) != 1 {
		t.Errorf("%d fragments", len(got))
	}
	for _, err := range List(t.Context(), Config{Stream: "cam", EndpointURL: e.url}) {
		if err != nil {
			t.Error(err)
		}
	}
}
