package source

import (
	"strings"
	"testing"
	"time"
)

const arn = "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/cam-1/1500000000000"

func TestValidate(t *testing.T) {
	now := time.Now()
	kvs := func(change func(*KVSConfig)) func(*Config) {
		return func(c *Config) {
			from := c.Origin.(KVSConfig)
			change(&from)
			c.Origin = from
		}
	}
	start := func(s StartSelector) func(*Config) { return kvs(func(c *KVSConfig) { c.StartSelector = s }) }
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"a stream name", func(*Config) {}, nil},
		{"an ARN", kvs(func(c *KVSConfig) { c.Streams = []string{arn} }), nil},
		{"patterns", kvs(func(c *KVSConfig) { c.Streams = []string{"prod-*", "cam-?"} }), nil},
		{"what is no pattern", kvs(func(c *KVSConfig) { c.Streams = []string{"prod *"} }), []string{"streams[0]: "}},
		{"no stream", kvs(func(c *KVSConfig) { c.Streams = nil }), []string{"streams: is empty"}},
		{"what is no stream", kvs(func(c *KVSConfig) {
			c.Streams = []string{"a b", "arn:aws:s3:::bucket", strings.Repeat("x", 257), ""}
		}), []string{"streams[0]: ", "streams[1]: ", "streams[2]: ", "streams[3]: "}},
		{"one stream twice", kvs(func(c *KVSConfig) { c.Streams = []string{"cam-1", arn} }), []string{"streams[1]: is stream cam-1, as streams[0] is"}},
		{"no type", func(c *Config) { c.Origin = nil }, []string{"type: is missing"}},
		{"an archive from the oldest fragment on", kvs(func(c *KVSConfig) { c.Mode, c.StartSelector = ModeArchive, StartSelector{Type: StartEarliest} }), nil},
		{"an archive after a fragment", kvs(func(c *KVSConfig) {
			c.Mode, c.StartSelector = ModeArchive, StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: "12"}
		}), nil},
		{"an archive from now on", kvs(func(c *KVSConfig) { c.Mode = ModeArchive }), []string{"start_selector.type: NOW is not a place in an archive: mode archive needs EARLIEST, FRAGMENT_NUMBER, "}},
		{"crossing over", kvs(func(c *KVSConfig) {
			c.Mode, c.StartSelector = ModeAuto, StartSelector{Type: StartServerTimestamp, Timestamp: now}
		}), nil},
		{"crossing over from a token", kvs(func(c *KVSConfig) {
			c.Mode, c.StartSelector = ModeAuto, StartSelector{Type: StartContinuationToken, ContinuationToken: "x"}
		}), []string{"start_selector.type: CONTINUATION_TOKEN is not a place in an archive: mode auto needs "}},
		{"another mode", kvs(func(c *KVSConfig) { c.Mode = "past" }), []string{`mode: "past" is not one of live, archive, auto`}},
		{"an endpoint that is no URL", kvs(func(c *KVSConfig) { c.EndpointURL = "localhost:80" }), []string{"endpoint_url: "}},
		{"another start", start(StartSelector{Type: "LATEST"}), []string{`start_selector.type: "LATEST" is not one of NOW, EARLIEST, `}},
		{"a start by time", start(StartSelector{Type: StartServerTimestamp, Timestamp: now}), nil},
		{"a start by time without one", start(StartSelector{Type: StartProducerTimestamp}), []string{"start_selector.timestamp: is missing: type PRODUCER_TIMESTAMP needs it"}},
		{"a start after a fragment", start(StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: "91343852333181432392682062607743920146159169392"}), nil},
		{"a start after a fragment without one", start(StartSelector{Type: StartFragmentNumber}), []string{"start_selector.after_fragment_number: is missing"}},
		{"a start after what is no fragment", start(StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: "12x"}), []string{`start_selector.after_fragment_number: "12x" is not a fragment number`}},
		{"a start at a token", start(StartSelector{Type: StartContinuationToken, ContinuationToken: "a.b_c-9"}), nil},
		{"a start at a token without one", start(StartSelector{Type: StartContinuationToken}), []string{"start_selector.continuation_token: is missing"}},
		{"a start at what is no token", start(StartSelector{Type: StartContinuationToken, ContinuationToken: "a b"}), []string{"start_selector.continuation_token: "}},
		{"a start with what it does not use", start(StartSelector{Type: StartNow, Timestamp: now, AfterFragmentNumber: "1", ContinuationToken: "x"}), []string{"start_selector.timestamp: belongs to type PRODUCER_TIMESTAMP or SERVER_TIMESTAMP, and the type is NOW", "start_selector.after_fragment_number: ", "start_selector.continuation_token: "}},
		{"an end", func(c *Config) { c.End = End{Timestamp: now, Duration: time.Minute, Fragments: 3} }, nil},
		{"an end that is negative", func(c *Config) { c.End = End{Duration: -1, Fragments: -1, IdleTimeout: -1} }, []string{"end.duration: ", "end.fragments: ", "end.idle_timeout: "}},
		{"an end before the start", func(c *Config) {
			c.Origin = KVSConfig{Streams: []string{"cam"}, Mode: ModeLive, StartSelector: StartSelector{Type: StartServerTimestamp, Timestamp: now}}
			c.End = End{Timestamp: now}
		}, []string{"end.timestamp: is not after start_selector.timestamp"}},
		{"the smallest cap", func(c *Config) { c.MaxFragmentSize = 1 << 10 }, nil},
		{"a cap below it", func(c *Config) { c.MaxFragmentSize = 1<<10 - 1 }, []string{"max_fragment_size: 1023B is not within 1KiB..2GiB"}},
		{"a cap above the largest", func(c *Config) { c.MaxFragmentSize = 2<<30 + 1 }, []string{"max_fragment_size: "}},
		{"a file", func(c *Config) { c.Origin = FileConfig{Paths: []string{"-"}, Stream: "cam"} }, nil},
		{"no file", func(c *Config) { c.Origin = FileConfig{} }, []string{"paths: is empty"}},
		{"an empty path", func(c *Config) { c.Origin = FileConfig{Paths: []string{"a", ""}} }, []string{"paths[1]: is empty"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Origin = KVSConfig{Streams: []string{"cam_1.front-door"}, Mode: ModeLive, StartSelector: StartSelector{Type: StartNow}}
			c.change(&cfg)
			err := cfg.Validate()
			if c.want == nil {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			checkProblems(t, err, c.want)
		})
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Size{"64MiB": 64 << 20, "1 GiB": 1 << 30, "1500kB": 1_500_000, "0B": 0, "7B": 7} {
		var got, again Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		written, err := got.MarshalText()
		if err != nil || again.UnmarshalText(written) != nil || again != got {
			t.Errorf("%s: written as %s, %v", text, written, err)
		}
	}
	for _, text := range []string{"", "64", "-1B", "1.5MiB", "MiB", "9999999999GiB", "64mib"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as a size", text)
		}
	}
}
