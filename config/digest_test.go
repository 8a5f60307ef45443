package config

import (
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

func TestPicturesStandsForWhatPicturesAndNamesDependOn(t *testing.T) {
	base := func() (Config, Sink) {
		s := defaultSink()
		s.Name = "thumbs"
		return Default(), s
	}
	c, s := base()
	want := c.Pictures(s)
	if want != "3287a285" { // a part of every record: it changes only with digestForm
		t.Errorf("the digest of the defaults is %s", want)
	}
	for name, test := range map[string]struct {
		change func(c *Config, s *Sink)
		same   bool
	}{
		"workers":            {func(c *Config, _ *Sink) { c.Decode.Workers = 3 }, true},
		"source":             {func(c *Config, _ *Sink) { c.Source.Origin = source.KVSConfig{Streams: []string{"cam"}} }, true},
		"log level":          {func(c *Config, _ *Sink) { c.Service.Log.Level = "debug" }, true},
		"sink's name":        {func(_ *Config, s *Sink) { s.Name = "x" }, true},
		"folder":             {func(_ *Config, s *Sink) { s.Destination.Location = sink.Directory{Path: "x"} }, true},
		"manifest":           {func(_ *Config, s *Sink) { s.Manifest.Format = "none" }, true},
		"what means no more": {func(_ *Config, s *Sink) { s.Resize.Background = decode.RGB{1} }, true},
		"concealed":          {func(c *Config, _ *Sink) { c.Decode.Concealed = decode.ConcealedDrop }, false},
		"matrix":             {func(c *Config, _ *Sink) { c.Decode.Color.UntaggedMatrix = decode.MatrixBT601 }, false},
		"interval":           {func(_ *Config, s *Sink) { s.Sample.Rule = plan.Interval{Every: time.Second} }, false},
		"clock":              {func(_ *Config, s *Sink) { s.Sample.Clock = media.ClockServer }, false},
		"quality": {func(_ *Config, s *Sink) {
			s.Form = decode.ImageForm{FileForm: decode.FileForm{Format: decode.FormatJPEG, Quality: 81, EXIF: true}}
		}, false},
		"width": {func(_ *Config, s *Sink) { s.Resize.Width = 320 }, false},
		"path":  {func(_ *Config, s *Sink) { s.Path = "{fragment_number}/{frame_index}" }, false},
		"times": {func(_ *Config, s *Sink) {
			s.Sample.Rule = plan.Timestamps{At: []string{"2026-01-01T00:00:00Z"}}
		}, false},
	} {
		c, s := base()
		test.change(&c, &s)
		if got := c.Pictures(s); (got == want) != test.same {
			t.Errorf("%s: the digest is %s, that of the defaults %s", name, got, want)
		}
	}
	_, s = base()
	s.Path = "{sink}/{fragment_number}/{frame_index}"
	named := c.Pictures(s)
	s.Name = "other"
	if c.Pictures(s) == named {
		t.Error("a path with {sink} gives other names under another name, and the same digest")
	}
	_, s = base()
	s.Form = decode.DefaultRawForm()
	if raw := c.Pictures(s); raw == want || len(raw) != 8 {
		t.Errorf("the digest of raw frames is %s", raw)
	}
}

func TestDigestStandsForAllSettings(t *testing.T) {
	c := Default()
	c.Sinks = []Sink{defaultSink()}
	first, err := c.Digest()
	c.Sinks[0].Destination.Location = sink.Directory{Path: "x"}
	second, err2 := c.Digest()
	if err != nil || err2 != nil || len(first) != 8 || first == second {
		t.Errorf("digests %q and %q, errors %v, %v", first, second, err, err2)
	}
}

func TestWhenFramesLeaveChangesNoFragments(t *testing.T) {
	c, d := Default(), Default()
	d.Source.Origin = source.KVSConfig{Mode: source.ModeLive, StartSelector: source.StartSelector{Type: source.StartNow}, Deliver: source.DeliverFrame}
	if c.Fragments() != d.Fragments() {
		t.Error("a run with the other source.deliver does not continue")
	}
	d.Source.Track = 2
	if c.Fragments() == d.Fragments() {
		t.Error("the track makes no difference")
	}
}
