package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/internal/disk"
	"github.com/kvsframes/kvsframes/internal/disk/disktest"
)

func open(t *testing.T, at string) *disk.Folder {
	t.Helper()
	f, err := disk.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestAFileThatIsSyncedIsOldOrNewAfterEveryPowerCut writes files of which the first is replaced, in folders that somebody
// else made and never synced.
func TestAFileThatIsSyncedIsOldOrNewAfterEveryPowerCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	at := filepath.Join(t.TempDir(), "mnt")
	const tries = 10 // for each operation
	for i, over := 0, false; !over; i++ {
		n := 1 + i/tries
		d := disktest.New(t, at)
		d.CutAt(n)
		var written []string // NAME=CONTENT, of which Commit returned nil
		write := func(f *disk.Folder, name, content string) {
			if f.WriteFile(t.Context(), name, []byte(content), disk.Options{Sync: true, Perm: 0o600, IfAbsent: content == "once"}) == nil {
				written = append(written, name+"="+content)
			}
		}
		if f, err := disk.Open(filepath.Join(at, "x", "y")); err == nil {
			_ = f.MkdirAll("a/b", 0o755)
			for _, content := range []string{"one", "two", "three"} {
				write(f, "a/b/file", content)
			}
			write(f, "a/b/other", "once")
			write(f, "c/file", "one")
		}
		over = d.Ops() < n
		files := d.Cut(t, rng).Files()
		want := map[string]string{}
		for _, w := range written {
			name, content, _ := strings.Cut(w, "=")
			want[name] = content
		}
		for name, content := range want {
			got, there := files["x/y/"+name]
			next := map[string]string{"one": "two", "two": "three"}[content]
			if !there || got != content && got != next {
				t.Errorf("cut at operation %d: %s is %q (there: %t), want %q: %v", n, name, got, there, content, files)
			}
		}
		for name, got := range files {
			if base := filepath.Base(name); !strings.HasPrefix(base, disk.TempPrefix) && got != "one" && got != "two" && got != "three" && got != "once" {
				t.Errorf("cut at operation %d: half of a file is visible: %s is %q", n, name, got)
			}
		}
	}
}

func TestWhatIsNotSyncedMayBeLostUntilTheFolderIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	at := filepath.Join(t.TempDir(), "mnt")
	lost := 0
	for _, synced := range []bool{false, true} {
		for range 50 {
			d := disktest.New(t, at)
			f := open(t, filepath.Join(at, "x"))
			if err := f.WriteFile(t.Context(), "a/file", []byte("content"), disk.Options{Perm: 0o600}); err != nil {
				t.Fatal(err)
			}
			if synced {
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			if left := d.Cut(t, rng).Files()["x/a/file"]; left != "content" {
				lost++
				if synced {
					t.Errorf("the file is %q", left)
				}
			}
		}
	}
	if lost < 20 {
		t.Errorf("lost %d times of 50: the disk forgets too little", lost)
	}
}

// TestAfterAFailedSyncNothingIsWritten: the kernel reports a write that failed once, to one who asks.
func TestAfterAFailedSyncNothingIsWritten(t *testing.T) {
	at := t.TempDir()
	d := disktest.New(t, at)
	f := open(t, at)
	once := true
	d.Before = func(op disktest.Op) error {
		if op.Name == "syncfs" && once {
			once = false
			return syscall.EIO
		}
		return nil
	}
	for range 2 {
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("sync gave %v", err)
		}
		if _, err := f.Create(t.Context(), "a", disk.Options{}); !errors.Is(err, syscall.EIO) {
			t.Errorf("create gave %v", err)
		}
	}
}

// TestWritersAndSweepersOfOneFolderLeaveEachOtherAlone has each of many writers sweep a folder when it begins.
func TestWritersAndSweepersOfOneFolderLeaveEachOtherAlone(t *testing.T) {
	at := t.TempDir()
	const writers, files = 8, 60
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range files {
				f, err := disk.Open(at)
				if err != nil {
					t.Error(err)
					return
				}
				name := fmt.Sprintf("%d-%d", i, j)
				err = f.WriteFile(context.Background(), name, []byte(name), disk.Options{Perm: 0o600, IfAbsent: j%2 == 0})
				if err = errors.Join(err, f.Close()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(at)
	if err != nil || len(entries) != writers*files {
		t.Errorf("%d files, want %d (%v)", len(entries), writers*files, err)
	}
	for _, e := range entries {
		if got, err := os.ReadFile(filepath.Join(at, e.Name())); err != nil || string(got) != e.Name() {
			t.Errorf("%s is %q, %v", e.Name(), got, err)
		}
	}
}

// swept is a disk whose folders are swept by somebody else before each change of a name.
type swept struct {
	*disktest.Disk
	sweep func()
}

func (s swept) OpenRoot(at string) (disk.FS, error) {
	below, err := s.Disk.OpenRoot(at)
	return sweptFS{below, s.sweep}, err
}

type sweptFS struct {
	disk.FS
	sweep func()
}

func (s sweptFS) Rename(from, to string) error { s.sweep(); return s.FS.Rename(from, to) }
func (s sweptFS) Link(from, to string) error   { s.sweep(); return s.FS.Link(from, to) }

func TestAFileIsLockedUntilItHasItsName(t *testing.T) {
	at := t.TempDir()
	for _, ifAbsent := range []bool{false, true} {
		d := disktest.New(t, at)
		sweeps := 0
		f := func() *disk.Folder {
			defer disk.Mount(at, swept{d, func() {
				sweeps++
				if err := open(t, at).WriteFile(t.Context(), "b", nil, disk.Options{Perm: 0o600}); err != nil {
					t.Error(err)
				}
			}})()
			return open(t, at)
		}()
		disk.Mount(at, d)
		if err := f.WriteFile(t.Context(), "a", []byte("content"), disk.Options{Perm: 0o600, Sync: true, IfAbsent: ifAbsent}); err != nil || sweeps != 1 {
			t.Errorf("if absent %t: %v, swept %d times", ifAbsent, err, sweeps)
		}
		if files := d.Files(); len(files) != 2 || files["a"] != "content" {
			t.Errorf("if absent %t: %q", ifAbsent, files)
		}
	}
}

// TestAFileThatIsSweptBeforeItIsLockedIsMadeAgain removes and locks what a writer has made, before it can lock it.
func TestAFileThatIsSweptBeforeItIsLockedIsMadeAgain(t *testing.T) {
	at := t.TempDir()
	d := disktest.New(t, at)
	f := open(t, at)
	made := 0
	d.After = func(op disktest.Op) error {
		if op.Name == "create" {
			if made++; made < 5 {
				d.Forget(op.Path, made%2 == 0)
			}
		}
		return nil
	}
	if err := f.WriteFile(t.Context(), "a", []byte("content"), disk.Options{Perm: 0o600}); err != nil || made != 5 {
		t.Errorf("error %v, made %d times", err, made)
	}
	if files := d.Files(); len(files) != 1 || files["a"] != "content" {
		t.Errorf("%q", files)
	}
}

func TestAnotherFileIsNotReplacedIfItMustBeAbsent(t *testing.T) {
	at := t.TempDir()
	f := open(t, at)
	o := disk.Options{Perm: 0o600, IfAbsent: true}
	if err := f.WriteFile(t.Context(), "a", []byte("one"), o); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteFile(t.Context(), "a", []byte("two"), o); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	entries, err := os.ReadDir(at)
	if got, readErr := os.ReadFile(filepath.Join(at, "a")); errors.Join(err, readErr) != nil || len(entries) != 1 || string(got) != "one" {
		t.Errorf("the file is %q, and there are %v", got, entries)
	}
}

// far is a disk on a network file system.
type far struct{ *disktest.Disk }

func (f far) OpenRoot(at string) (disk.FS, error) {
	below, err := f.Disk.OpenRoot(at)
	return farFS{below}, err
}

type farFS struct{ disk.FS }

func (farFS) Network() string { return "NFS" }

// TestOnANetworkOnlyOldFilesAreSwept: locks of other machines may not be seen.
func TestOnANetworkOnlyOldFilesAreSwept(t *testing.T) {
	at := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := disktest.New(t, at)
		disk.Mount(at, far{d})
		if _, err := open(t, at).Create(t.Context(), "a", disk.Options{Perm: 0o600}); err != nil {
			t.Fatal(err)
		}
		d.Unlock() // by a machine that does not see the lock
		put := func(name string, want int) {
			t.Helper()
			if err := open(t, at).WriteFile(t.Context(), name, nil, disk.Options{Perm: 0o600}); err != nil {
				t.Fatal(err)
			}
			if files := d.Files(); len(files) != want {
				t.Errorf("%s: %q", name, files)
			}
		}
		time.Sleep(50 * time.Minute)
		put("b", 2)
		time.Sleep(20 * time.Minute)
		put("c", 2)
	})
}
