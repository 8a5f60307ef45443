package main

import (
	"path/filepath"
	"strings"
	"testing"
)

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
