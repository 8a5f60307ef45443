package sink_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// Variables of a process that writes where something is scarce: what, and the folder.
const scarce, scarceFolder = "KVSFRAMES_TEST_SCARCE", "KVSFRAMES_TEST_SCARCE_FOLDER"

// scarcity is how long something is scarce: as long as a user takes to free space when all is tested, else long enough
// for several tries.
func scarcity() time.Duration {
	if soaktest.Soaking() {
		return 20 * time.Second
	}
	return 2 * time.Second
}

// writeWhere runs TestWriteWhereSomethingIsScarce in a process of its own with the attributes.
func writeWhere(t *testing.T, what string, attributes *syscall.SysProcAttr) (string, error) {
	t.Helper()
	writer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteWhereSomethingIsScarce$", "-test.v")
	writer.Env = append(os.Environ(), scarce+"="+what, scarceFolder+"="+t.TempDir())
	writer.SysProcAttr = attributes
	out, err := writer.CombinedOutput()
	return string(out), err
}

// TestAFullDiskIsWaitedFor fills a small file system, which a process mounts for itself alone.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	alone := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		alone.Cloneflags |= syscall.CLONE_NEWUSER
		alone.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		alone.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := writeWhere(t, "space", alone)
	if errors.Is(err, syscall.EPERM) || strings.Contains(out, "no mount:") {
		t.Skipf("this kernel lets no process of this user mount a file system: %v %s", err, out)
	}
	if err != nil || !strings.Contains(out, "waiting for it") || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "works again") {
		t.Errorf("error %v:\n%s", err, out)
	}
}

// TestAProcessWithoutFreeFilesWaits takes all file descriptors that a process may have.
func TestAProcessWithoutFreeFilesWaits(t *testing.T) {
	t.Parallel()
	out, err := writeWhere(t, "files", nil)
	if err != nil || !strings.Contains(out, "waiting for it") || !strings.Contains(out, "too many open files") || !strings.Contains(out, "works again") {
		t.Errorf("error %v:\n%s", err, out)
	}
}

// TestWriteWhereSomethingIsScarce is the process that writeWhere starts, and no test otherwise.
func TestWriteWhereSomethingIsScarce(t *testing.T) {
	var free func()
	folder := os.Getenv(scarceFolder)
	switch os.Getenv(scarce) {
	case "":
		return
	case "space":
		if err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m")); err != nil {
			t.Fatalf("no mount: %v", err)
		}
		free = fillDisk(t, folder)
	case "files":
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
			t.Fatal(err)
		}
	}
	dir := openDir(t, folder, true)
	s, err := sink.New(named("a"), dir, sink.Options{Log: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		t.Fatal(err)
	}
	all := images(20)
	for i := range all {
		all[i].Data = []byte(strings.Repeat(fmt.Sprint(i%10), 20_000))
	}
	if free == nil {
		free = takeFiles(t)
	}
	together, err := sink.New(func() sink.Config {
		c := named("b")
		inGroups(sink.DefaultGroup())(&c)
		return c
	}(), dir, sink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	group := together.NewWriter()
	time.AfterFunc(scarcity(), free)
	w := s.NewWriter()
	var grouped error
	var both sync.WaitGroup
	both.Go(func() { grouped = errors.Join(deliver(t.Context(), group, all, nobody), group.Finish(t.Context())) })
	errs := writeAll(t.Context(), w, all)
	both.Wait()
	if err := errors.Join(append(errs, grouped)...); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%04d\n", len(all))
	for _, img := range all {
		want += string(img.Data)
	}
	object := filepath.Join(folder, all[0].FragmentNumber+"_000000.txt")
	if got, err := os.ReadFile(object); err != nil || string(got) != want+"end\n" {
		t.Errorf("%s has %d bytes, want %d (%v)", object, len(got), len(want), err)
	}
	if err := w.EndFragment(t.Context(), fragment(), func(media.Receipt) {}); err != nil {
		t.Fatal(err)
	}
	for i, img := range all {
		key := filepath.Join(folder, img.Stream, fmt.Sprintf("20260304T050607_089Z_%s_%06d.jpg", img.FragmentNumber, i))
		if got, err := os.ReadFile(key); err != nil || string(got) != string(img.Data) {
			t.Errorf("%s has %d bytes, %v", key, len(got), err)
		}
	}
	if left, err := filesThat(folder, true); err != nil || len(left) > 0 {
		t.Errorf("unfinished files %q, %v", left, err)
	}
}

// fillDisk fills the file system of a folder, and returns a function that empties it.
func fillDisk(t *testing.T, folder string) (free func()) {
	t.Helper()
	name := filepath.Join(folder, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, neverEnding{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not fill: %v", err)
	}
	return func() { _ = errors.Join(f.Close(), os.Remove(name)) }
}

// takeFiles opens files until no more can be, and returns a function that closes them.
func takeFiles(t *testing.T) (free func()) {
	t.Helper()
	var taken []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, f)
	}
	return func() {
		for _, f := range taken {
			_ = f.Close()
		}
	}
}

// neverEnding is an endless file.
type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }
