package checkpoint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/checkpoint/checkpointtest"
	"github.com/kvsframes/kvsframes/internal/disk/disktest"
)

func TestAFileConforms(t *testing.T) {
	checkpointtest.Run(t, func(tb testing.TB) checkpointtest.Harness {
		path := filepath.Join(tb.TempDir(), "a", "b", "cam.json")
		return checkpointtest.Harness{
			Open: func() checkpoint.Store { return checkpoint.NewFile(path) },
			Get: func(tb testing.TB) []byte {
				data, err := os.ReadFile(path)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					tb.Error(err)
				}
				return data
			},
			Put: func(tb testing.TB, data []byte) {
				err := os.MkdirAll(filepath.Dir(path), 0o700)
				if data == nil {
					err = os.Remove(path)
				} else if err == nil {
					err = os.WriteFile(path, data, 0o600)
				}
				if err != nil {
					tb.Error(err)
				}
			},
		}
	})
}

func acquire(t *testing.T, path string) checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.NewFile(path).Acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Release(t.Context()) })
	return c
}

func TestAFileIsPrivateAndLeavesItsLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cam.json")
	c := acquire(t, path)
	if err := c.Save(t.Context(), []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(names) != 2 {
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
	acquire(t, path)
	fmt.Println("owned")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func TestAFileBelongsToOneProcess(t *testing.T) {
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
	_, err = checkpoint.NewFile(path).Acquire(t.Context(), false)
	if owned, ok := errors.AsType[*checkpoint.OwnedError](err); !ok || !strings.Contains(owned.Owner, fmt.Sprintf(":%d since ", owner.Process.Pid)) {
		t.Errorf("error %v", err)
	}
	if err := errors.Join(owner.Process.Kill(), in.Close()); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // it was killed
	acquire(t, path)
}

func TestACheckpointThatCannotBeWrittenKeepsTheOldOne(t *testing.T) {
	folder := t.TempDir()
	disk := disktest.New(t, folder)
	path := filepath.Join(folder, "cam.json")
	c := acquire(t, path)
	if err := c.Save(t.Context(), []byte(`"old"`)); err != nil {
		t.Fatal(err)
	}
	disk.Before = func(disktest.Op) error { return syscall.EIO }
	if err := c.Save(t.Context(), []byte(`"new"`)); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
	disk.Before = nil
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state := acquire(t, path).State(); string(state) != `"old"` {
		t.Errorf("got %q", state)
	}
}

func TestAPlaceThatCannotBeWrittenIsFoundAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.NewFile(filepath.Join(file, "cam.json")).Acquire(t.Context(), false); err == nil || !strings.Contains(err.Error(), "open checkpoint") {
		t.Errorf("error %v", err)
	}
}
