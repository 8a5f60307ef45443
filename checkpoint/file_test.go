package checkpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/internal/disk/disktest"
)

func open(t *testing.T, path string) *checkpoint.File {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestACheckpointIsWhatWasWrittenLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "cam.json")
	f := open(t, path)
	if data, err := f.Read(); data != nil || err != nil {
		t.Errorf("at first it is %q, %v", data, err)
	}
	for i := range 3 {
		want := fmt.Appendf(nil, "checkpoint %d", i)
		if err := f.Write(want); err != nil {
			t.Fatal(err)
		}
		if data, err := f.Read(); !bytes.Equal(data, want) || err != nil {
			t.Errorf("got %q, %v, want %q", data, err, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := open(t, path).Read(); string(data) != "checkpoint 2" || err != nil {
		t.Errorf("later it is %q, %v", data, err)
	}
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(names) != 2 { // the lock stays
		t.Errorf("files %q, %v", names, err)
	}
}

// ownerPath is a variable of a process that owns a checkpoint until its input ends.
const ownerPath = "KVSFRAMES_TEST_CHECKPOINT"

func TestOwnUntilTheInputEnds(t *testing.T) {
	path := os.Getenv(ownerPath)
	if path == "" {
		return
	}
	open(t, path)
	fmt.Println("owned")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func TestACheckpointHasOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cam.json")
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwnUntilTheInputEnds$")
	owner.Env = append(os.Environ(), ownerPath+"="+path)
	in, err := owner.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 5)); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	var owned *checkpoint.OwnedError
	if _, err := checkpoint.Open(path); !errors.As(err, &owned) || !strings.HasPrefix(owned.Owner, fmt.Sprintf("process %d on ", owner.Process.Pid)) {
		t.Errorf("error %v", err)
	}
	if err := errors.Join(owner.Process.Kill(), in.Close()); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // it was killed
	open(t, path)
}

func TestACheckpointThatCannotBeWrittenKeepsTheOldOne(t *testing.T) {
	folder := t.TempDir()
	disk := disktest.New(t, folder)
	f := open(t, filepath.Join(folder, "cam.json"))
	if err := f.Write([]byte("old")); err != nil {
		t.Fatal(err)
	}
	disk.Before = func(op disktest.Op) error { return syscall.EIO }
	if err := f.Write([]byte("new")); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
	if data, err := f.Read(); string(data) != "old" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestAPlaceThatCannotBeWrittenIsFoundAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.Open(filepath.Join(file, "cam.json")); err == nil || !strings.Contains(err.Error(), "open checkpoint") {
		t.Errorf("error %v", err)
	}
}
