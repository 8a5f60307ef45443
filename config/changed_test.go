package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestChangedNamesKeys(t *testing.T) {
	const source, sinks = "source: {streams: [cam], mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: now-1h}, end: {timestamp: now}}\n", "sinks:\n  - {name: a, sample: {type: interval, interval: 1s}}\n  - {name: b, destination: {directory: b}}\n"
	for _, test := range []struct {
		name, to string
		want     []string
	}{
		{"nothing, at another time", source + sinks, nil},
		{"a default that is written", source + sinks + "decode: {on_error: skip}\n", nil},
		{"another order", source + "sinks:\n  - {name: b, destination: {directory: b}}\n  - {name: a, sample: {type: interval, interval: 1s}}\n", nil},
		{"another time", "source: {streams: [cam], mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: now-2h}, end: {timestamp: now}}\n" + sinks, []string{"source.start_selector.timestamp"}},
		{"a sampler", source + "sinks:\n  - {name: a, sample: {type: interval, interval: 2s}}\n  - {name: b, destination: {directory: b}, sample: {type: all}}\n", []string{"sinks.a.sample.interval", "sinks.b.sample.type", "sinks.b.sample.interval"}},
		{"another sink", source + "sinks:\n  - {name: a, sample: {type: interval, interval: 1s}}\n  - {name: c, destination: {directory: c}}\n", []string{"sinks.b", "sinks.c"}},
		{"more than sinks", source + sinks + "service: {log: {level: debug}}\ndecode: {workers: 3}\n", []string{"decode.workers", "service.log.level"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, err := Load(Options{Reader: strings.NewReader(source + sinks), Now: noon})
			to, later := Load(Options{Reader: strings.NewReader(test.to), Now: noon.Add(time.Hour)})
			if err := errors.Join(err, later); err != nil {
				t.Fatal(err)
			}
			if got := from.Changed(to); !slices.Equal(got, test.want) {
				t.Errorf("changed %q, want %q", got, test.want)
			}
		})
	}
}
