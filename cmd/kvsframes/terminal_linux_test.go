package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// ofALiveStream is the line of a live stream, of any size of terminal.
var ofALiveStream = regexp.MustCompile(`(?m)^cam-\d +(2026-01-01 )?12:00:\d\d(\.0)?Z +[\d.]+ fps .* lag 0\.0s`)

// ofAll is the line of all streams.
var ofAll = regexp.MustCompile(`(?m)^2 streams \| \d+(\.\d)? fps \| thumbs: 28 images \| `)

func TestALiveRunShowsALineForEachStream(t *testing.T) {
	whole := read(t, demo)
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam-1": whole, "cam-2": whole})
	file := settings(t, "source: {streams: [cam-1, cam-2], endpoint_url: '"+url+"', start_selector: {type: EARLIEST}}\n"+sinkOf(t.TempDir()))
	for _, columns := range []int{80, 200} {
		term := onTerminal(t, columns, 24, nil, "run", file)
		shown := func(text string) bool {
			return len(ofALiveStream.FindAllString(text, -1)) == 2 && ofAll.MatchString(text)
		}
		text := term.until(shown)
		if hasDate := strings.Contains(text, "2026-01-01 12:00:12.0Z"); hasDate != (columns == 200) {
			t.Errorf("%d columns:\n%s", columns, text)
		}
		// What is drawn fits a terminal that has become smaller, and nothing of the lines before is left.
		term.resize(60, 10)
		term.until(func(text string) bool { return strings.Count(text, "\ncam-") == 2 && shown(text) })
		term.press("\x03")
		code, text := term.wait()
		if code != exitInterrupted {
			t.Errorf("code %d", code)
		}
		if strings.Contains(text, " fps") || ofAll.MatchString(text) || !strings.Contains(text, "\ncam-1: 7 fragments, ") || !strings.Contains(text, "\ndone in ") {
			t.Errorf("%d columns: after the end\n%s", columns, text)
		}
	}
}

func TestTheSecondInterruptLeavesACleanTerminal(t *testing.T) {
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			<-over // nothing is ever stored
		}
	}))
	defer silent.Close()
	defer close(over)
	file := settings(t, "source: {streams: [cam], endpoint_url: '"+url+"', start_selector: {type: EARLIEST}}\n"+
		"sinks: [{name: thumbs, destination: {type: s3, bucket: b, endpoint_url: '"+silent.URL+"', force_path_style: true}}]\n")
	term := onTerminal(t, 80, 24, nil, "run", file)
	term.until(func(text string) bool { return strings.Contains(text, "\ncam  12:00:") })
	term.press("\x03")
	term.until(func(text string) bool {
		return strings.Contains(text, "interrupted: finishing") && strings.Contains(text, "\ncam  12:00:")
	})
	time.Sleep(secondAfter)
	term.press("\x03")
	code, text := term.wait()
	if code != exitFailed || strings.Contains(text, " fps") || !strings.Contains(text, "kvsframes: interrupted twice") {
		t.Errorf("code %d:\n%s", code, text)
	}
}

func TestAnArchiveShowsWhenItEnds(t *testing.T) {
	awsEnvironment(t)
	server := kvstest.New(t, kvstest.Options{Link: kvstest.Link{BytesPerSecond: 100_000}})
	whole := read(t, demo)
	if err := server.AddRecording("cam", bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	file := settings(t, "source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: '"+server.URL()+"'}\n"+sinkOf(t.TempDir()))
	term := onTerminal(t, 80, 24, nil, "run", file)
	bar := regexp.MustCompile(`(?m)^cam  \[=+ +\]  \d\d%  12:00:\d\dZ .* ETA \d`)
	term.until(bar.MatchString)
	if code, text := term.wait(); code != exitDone || bar.MatchString(text) {
		t.Errorf("code %d:\n%s", code, text)
	}
}

// A stream with a gap is shown in a color, unless the environment forbids colors.
func TestNoColorIsRespected(t *testing.T) {
	chunks := chunksOf(t, read(t, demo))
	chunks[2] = chunks[2][:len(chunks[2])/2]
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": bytes.Join(chunks, nil)})
	file := settings(t, "source: {streams: [cam], endpoint_url: '"+url+"', start_selector: {type: EARLIEST}}\n"+sinkOf(t.TempDir()))
	for _, environ := range [][]string{{"NO_COLOR="}, {"NO_COLOR=1"}} {
		term := onTerminal(t, 80, 24, environ, "run", file)
		term.until(func(text string) bool { return regexp.MustCompile(`(?m)^cam  12.* \d gap`).MatchString(text) })
		term.press("\x03")
		term.wait()
		if colored := term.screen.colors > 0; colored != (environ[0] == "NO_COLOR=") {
			t.Errorf("%s: colored %v", environ, colored)
		}
	}
}

func TestADumbTerminalGetsLinesAlone(t *testing.T) {
	file := settings(t, "source: {type: file, paths: ['"+demo+"']}\n"+sinkOf(t.TempDir()))
	term := onTerminal(t, 80, 24, []string{"TERM=dumb"}, "run", file)
	if code, text := term.wait(); code != exitDone || strings.Contains(text, "fps") || !strings.Contains(text, "level=INFO msg=") {
		t.Errorf("code %d:\n%s", code, text)
	}
}
