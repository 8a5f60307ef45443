package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// folder makes a folder with files of the given content.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// drain opens an input and describes what it yields up to its end.
func drain(t *testing.T, in Input) []string {
	t.Helper()
	s, err := in.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var lines []string
	for {
		f, err := s.Next(t.Context())
		var gap *media.GapError
		if err != nil && !errors.As(err, &gap) {
			if _, again := s.Next(t.Context()); !errors.Is(again, err) && again.Error() != err.Error() {
				t.Errorf("Next returned %v, then %v", err, again)
			}
			if err != io.EOF {
				lines = append(lines, describe(nil, err))
			}
			return lines
		}
		lines = append(lines, describe(f, err))
	}
}

// describe writes one answer of Next as one line.
func describe(f *media.Fragment, err error) string {
	var gap *media.GapError
	switch {
	case errors.As(err, &gap):
		return fmt.Sprintf("gap %s lost=%d: %s", gap.Gap.FragmentNumber, gap.Gap.FramesLost, gap.Gap.Detail)
	case err != nil:
		return err.Error()
	}
	return fmt.Sprintf("%s cut=%v t=%v %d blocks", f.Number, f.Cut, f.Timecode, len(f.Blocks))
}

func TestEachFileIsAStream(t *testing.T) {
	dir := folder(t, map[string][]byte{"b.mkv": chunk("7"), "a.mkv": plainFile(), "sub/.hidden": nil, "odd[1].mkv": chunk("9")})
	paths := []string{filepath.Join(dir, "odd[1].mkv"), "-", filepath.Join(dir, "?.mkv"), filepath.Join(dir, "sub", ".hidden")}
	inputs, err := OpenFiles(Config{Origin: FileConfig{Paths: paths}}, bytes.NewReader(chunk("8")), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		stream string
		lines  []string
	}{
		{"odd[1]", []string{"9 cut=false t=1s 2 blocks"}},
		{"stdin", []string{"8 cut=false t=1s 2 blocks"}},
		{"a", []string{"000000 cut=false t=0s 1 blocks", "000001 cut=false t=9ms 1 blocks"}},
		{"b", []string{"7 cut=false t=1s 2 blocks"}},
		{".hidden", nil},
	}
	for i, in := range inputs {
		if got := drain(t, in); in.Stream != want[i].stream || !slices.Equal(got, want[i].lines) {
			t.Errorf("stream %s: %q, want %+v", in.Stream, got, want[i])
		}
	}
	if len(inputs) != len(want) {
		t.Errorf("%d inputs, want %d", len(inputs), len(want))
	}
}

func TestFilesOfOneStreamFollowEachOther(t *testing.T) {
	lost := cat(segment(), tags(aws("ERROR_ID", "3000"), aws("FRAGMENT_NUMBER", "8")))
	dir := folder(t, map[string][]byte{"1.mkv": plainFile(), "2.mkv": plainFile(), "0.mkv": cat(chunk("7"), lost)})
	inputs, err := OpenFiles(Config{Origin: FileConfig{Paths: []string{filepath.Join(dir, "*")}, Stream: "cam"}}, nil, nil)
	if err != nil || len(inputs) != 1 || inputs[0].Stream != "cam" {
		t.Fatalf("inputs %+v, %v", inputs, err)
	}
	got := drain(t, inputs[0])
	want := []string{
		"7 cut=false t=1s 2 blocks", "gap 8 lost=0: stream reports error 3000 for fragment 8",
		"000000 cut=false t=0s 1 blocks", "000001 cut=false t=9ms 1 blocks", "000002 cut=false t=0s 1 blocks", "000003 cut=false t=9ms 1 blocks",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFileSourceCountsTheBytesOfAllOpenFiles(t *testing.T) {
	dir := folder(t, map[string][]byte{"1.mkv": plainFile(), "2.mkv": chunk("7")})
	inputs, err := OpenFiles(Config{Origin: FileConfig{Paths: []string{filepath.Join(dir, "*")}, Stream: "cam"}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inputs[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := int64(len(plainFile()) + len(chunk("7")))
	for err = nil; err == nil; {
		_, err = s.Next(t.Context())
		if stats := s.Stats(); stats.Share != float64(stats.BytesRead)/float64(want) {
			t.Errorf("%d bytes of %d are a share of %v", stats.BytesRead, want, stats.Share)
		}
	}
	if err != io.EOF || s.Stats().BytesRead != want {
		t.Errorf("%d bytes read, want %d; %v", s.Stats().BytesRead, want, err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Errorf("close twice: %v", err)
	}
}

func TestPathsThatCannotWorkAreErrors(t *testing.T) {
	dir := folder(t, map[string][]byte{"a.mkv": nil, "a.webm": nil, "sub/a.mkv": nil})
	in := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range []struct {
		name  string
		paths []string
		want  []string
	}{
		{"a socket", []string{in("socket")}, []string{"paths[0]: " + in("socket") + " is a socket"}},
		{"a file that is not there", []string{in("a.mkv"), in("b.mkv")}, []string{"paths[1]: stat " + in("b.mkv")}},
		{"a glob without a match", []string{in("*.mp4")}, []string{"paths[0]: no file matches " + in("*.mp4")}},
		{"a glob that is none", []string{in("[")}, []string{"paths[0]: " + in("[") + " is not a valid pattern"}},
		{"a folder", []string{dir}, []string{"paths[0]: " + dir + " is a directory"}},
		{"a file named twice", []string{in("*.mkv"), in("a.mkv")}, []string{"paths[1]: " + in("a.mkv") + " is already named by paths[0]"}},
		{"standard input twice", []string{"-", "-"}, []string{"paths[1]: - is already named by paths[0]"}},
		{"files with one stream name", []string{in("a.*"), in("sub/a.mkv")}, []string{"paths[0]: " + in("a.mkv") + " and " + in("a.webm") + " would both be stream a", "paths[1]: "}},
		{"several problems", []string{in("x"), in("y")}, []string{"paths[0]: stat", "paths[1]: stat"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := OpenFiles(Config{Origin: FileConfig{Paths: c.paths}}, nil, nil)
			checkProblems(t, err, c.want)
		})
	}
}

func TestFilesThatMayNotBeReadAreErrors(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := folder(t, map[string][]byte{"a.mkv": nil, "b.mkv": nil})
	shut, pipe := filepath.Join(dir, "b.mkv"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.Chmod(shut, 0), syscall.Mkfifo(pipe, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := OpenFiles(Config{Origin: FileConfig{Paths: []string{filepath.Join(dir, "*.mkv"), pipe}}}, nil, nil)
	checkProblems(t, err, []string{"paths[0]: open " + shut + ": permission denied", "paths[1]: " + pipe + " cannot be read"})
}

// checkProblems checks that err joins Errors that begin as want says.
func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var got []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		got = joined.Unwrap()
	}
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d: %v", len(got), len(want), err)
	}
	for i, e := range got {
		var field *setting.Error
		if !errors.As(e, &field) || !strings.HasPrefix(e.Error(), want[i]) || !strings.HasPrefix(want[i], field.Path) {
			t.Errorf("problem %q, want %q", e, want[i])
		}
	}
}

func TestABrokenFileIsNamed(t *testing.T) {
	dir := folder(t, map[string][]byte{"a.mkv": []byte("no video")})
	inputs, err := OpenFiles(Config{Origin: FileConfig{Paths: []string{filepath.Join(dir, "a.mkv")}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, inputs[0]); len(got) != 1 || !strings.Contains(got[0], "read "+filepath.Join(dir, "a.mkv")) {
		t.Errorf("got %q", got)
	}
}

// blocked returns a source that waits for ever for bytes.
func blocked(t *testing.T, cfg Config, stdin io.Reader) Source {
	t.Helper()
	inputs, err := OpenFiles(cfg, stdin, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inputs[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCancellingEndsAWaitOnStandardInput(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close() // ends the reader that was left behind
	s := blocked(t, Config{Origin: FileConfig{Paths: []string{"-"}}}, in)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Next(ctx)
		waiting <- err
	}()
	head := chunk("7")[:40]
	if _, err := out.Write(head); err != nil { // Next is at work once it took these
		t.Fatal(err)
	}
	cancel()
	if err := <-waiting; err != context.Canceled {
		t.Fatalf("Next returned %v", err)
	}
	// Nothing is lost: the next Next goes on where the first one waited.
	go out.Write(chunk("7")[40:])
	if f, err := s.Next(t.Context()); err != nil || f.Number != "7" || s.Stats().BytesRead != int64(len(chunk("7"))) {
		t.Errorf("got %v, %v after %d bytes", f, err, s.Stats().BytesRead)
	}
	if _, err := s.Next(ctx); err != context.Canceled {
		t.Errorf("Next with a cancelled context returned %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestCancellingEndsAWaitOnAPipeAndCloseEndsItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s := blocked(t, Config{Origin: FileConfig{Paths: []string{path}}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Next(ctx)
		waiting <- err
	}()
	out, err := os.OpenFile(path, os.O_WRONLY, 0) // returns once Next opened it
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cancel()
	if err := <-waiting; err != context.Canceled {
		t.Fatalf("Next returned %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Next after Close returned %v", err)
	}
}

func TestAFileOfWhichNothingComesIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		want    []string
	}{
		"empty":         {nil, []string{"WARN the file is empty"}},
		"tags alone":    {cat(segment(), tags(tag("a", "b"))), []string{"WARN the file has no fragment"}},
		"one fragment":  {chunk("7"), nil},
		"nothing valid": {cat(segment(), header(), opening("7"), cluster(1<<62, key(0))), nil}, // a gap tells of it
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cam.mkv")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			log, lines := newJournal()
			readFile(t, path, log)
			if !slices.Equal(*lines, c.want) {
				t.Errorf("log is %q, want %q", *lines, c.want)
			}
		})
	}
}

// readFile reads a file as a source does, to its end.
func readFile(t *testing.T, path string, log *slog.Logger) {
	t.Helper()
	inputs, err := OpenFiles(Config{Origin: FileConfig{Paths: []string{path}}}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inputs[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // only read
	for !errors.Is(err, io.EOF) {
		var gap *media.GapError
		if _, err = s.Next(t.Context()); err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &gap) {
			t.Fatal(err)
		}
	}
}

func TestAFileIsReadIntoMemoryThatIsGivenBack(t *testing.T) {
	frame := element(ebml.IDSimpleBlock, []byte{0x81, 0, 0, 0x80}, make([]byte, 100<<10))
	var payload []byte
	for _, n := range []string{"1", "2", "3"} {
		payload = append(payload, cat(segment(), header(), opening(n), cluster(1000, frame), closing(n))...)
	}
	inputs, err := OpenFiles(Config{Origin: FileConfig{Paths: []string{filepath.Join(folder(t, map[string][]byte{"cam.mkv": payload}), "cam.mkv")}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := inputs[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var first *byte
	for n := range 3 {
		f, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = &f.MKV[0]
		}
		if room := cap(f.MKV) - len(f.MKV); &f.MKV[0] != first || room > len(f.MKV)/2 {
			t.Errorf("fragment %d is in memory of its own, or has room for %d bytes more", n, room)
		}
		f.Recycle()
	}
	if _, err := s.Next(t.Context()); err != io.EOF {
		t.Error(err)
	}
}
