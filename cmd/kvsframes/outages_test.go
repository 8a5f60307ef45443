package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/source"
)

// unreachable is a source whose service has not answered for a time.
type unreachable struct {
	source.Source
	reach source.Reach
}

func (u *unreachable) Stats() source.Stats { return source.Stats{Reach: u.reach} }

func TestOutagesAreTold(t *testing.T) {
	now := time.Now()
	var o outages
	if got := o.text(now); got != "" {
		t.Errorf("without streams: %q", got)
	}
	done := o.watch("a", &unreachable{reach: source.Reach{Since: now.Add(-12 * time.Second), Err: errors.New("connection refused")}})
	if got, want := o.text(now), "out of reach for 12s: connection refused"; got != want {
		t.Errorf("one stream: %q, want %q", got, want)
	}
	defer o.watch("b", &unreachable{})()
	if got, want := o.text(now), "a out of reach for 12s: connection refused"; got != want {
		t.Errorf("one of two: %q, want %q", got, want)
	}
	defer o.watch("c", &unreachable{reach: source.Reach{Since: now.Add(-time.Minute), Err: errors.New("no route")}})()
	if got, want := o.text(now), "2 streams out of reach, a out of reach for 12s: connection refused"; got != want {
		t.Errorf("two of three: %q, want %q", got, want)
	}
	done()
	if got, want := o.text(now), "c out of reach for 1m0s: no route"; got != want {
		t.Errorf("after the end of a: %q, want %q", got, want)
	}
}

func TestAnOutageEndsNoCommandCleanly(t *testing.T) {
	payload := read(t, demo)
	for name, fault := range map[string]string{
		"a server that fails": "http:op=GetMedia,status=503",
		"throttles":           "throttle:op=GetMedia",
		"error tags":          "tag:op=GetMedia,id=5000,fragments=0",
	} {
		t.Run(name, func(t *testing.T) {
			url := faulty(t, payload, fault)
			for _, args := range [][]string{
				{"record", "cam", "-o", filepath.Join(t.TempDir(), "cam.mkv"), "--start", "EARLIEST"},
				{"inspect", "cam", "--start", "EARLIEST"},
				{"run", "--set", "source.start_selector.type=EARLIEST", "--set", "source.end.idle_timeout=300ms"},
			} {
				p, _, stderr := newProgram(nil)
				if args[0] == "run" {
					args = append(args, settings(t, "version: 1\nsource: {type: kvs, streams: [cam], endpoint_url: "+url+"}\nsinks: [{name: a, type: image, sample: {type: all}, destination: {type: file, directory: "+t.TempDir()+"}}]\n"))
				} else {
					args = append(args, "--idle-timeout", "300ms", "--endpoint-url", url)
				}
				if code := p.execute(args); code != exitFailed || !strings.Contains(stderr.String(), "the stream does not answer") {
					t.Errorf("%s: code %d:\n%s", args[0], code, stderr)
				}
			}
		})
	}
}
