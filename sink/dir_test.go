package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

func openDir(tb testing.TB, root string, fsync bool) *sink.Dir {
	tb.Helper()
	dir, err := sink.OpenDir(root, fsync)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := dir.Close(); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// files returns the files below root, unfinished ones too, in order.
func files(root string) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		key, err := filepath.Rel(root, path)
		keys = append(keys, filepath.ToSlash(key))
		return err
	})
	slices.Sort(keys)
	return keys, err
}

func dirHarness(fsync bool) storetest.Open {
	return func(tb testing.TB) storetest.Harness {
		root := tb.TempDir()
		return storetest.Harness{
			Store: openDir(tb, root, fsync),
			Get: func(_ context.Context, key string) ([]byte, error) {
				return os.ReadFile(filepath.Join(root, filepath.FromSlash(key)))
			},
			List:       func(context.Context) ([]string, error) { return filesThat(root, false) },
			Unfinished: func(context.Context) ([]string, error) { return filesThat(root, true) },
			Kill:       func(tb testing.TB, key string, body []byte) { killWriter(tb, root, key, body) },
		}
	}
}

// filesThat returns the files below root that are, or are not, unfinished.
func filesThat(root string, unfinished bool) ([]string, error) {
	all, err := files(root)
	return slices.DeleteFunc(all, func(name string) bool {
		return strings.HasPrefix(filepath.Base(name), ".kvsframes-tmp-") != unfinished
	}), err
}

// Variables of a process that writes to a directory until it is killed.
const killedRoot, killedKey, killedLater = "KVSFRAMES_TEST_KILLED_ROOT", "KVSFRAMES_TEST_KILLED_KEY", "KVSFRAMES_TEST_KILLED_LATER"

// killWriter has body written to key by a process that is killed before it commits.
func killWriter(tb testing.TB, root, key string, body []byte) {
	tb.Helper()
	writer := exec.Command(os.Args[0], "-test.run=^TestWriteUntilKilled$")
	writer.Env = append(os.Environ(), killedRoot+"="+root, killedKey+"="+key)
	writer.Stdin = bytes.NewReader(body)
	var exit *exec.ExitError
	if out, err := writer.CombinedOutput(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		tb.Fatalf("the writer was not killed: %v, %s", err, out)
	}
	left, err := filesThat(root, true)
	if err != nil || len(left) != 1 {
		tb.Fatalf("the writer left %q (%v), want a file", left, err)
	}
	if info, err := os.Stat(filepath.Join(root, left[0])); err != nil || info.Size() != int64(len(body)) {
		tb.Fatalf("the writer left %v (%v), want %d bytes", info, err, len(body))
	}
}

// TestWriteUntilKilled is a process that writes a file and does not commit it, and no test otherwise. It kills itself, or
// waits for that if its output is read.
func TestWriteUntilKilled(t *testing.T) {
	root := os.Getenv(killedRoot)
	if root == "" {
		return
	}
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	w, err := openDir(t, root, false).Create(t.Context(), os.Getenv(killedKey), sink.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	if os.Getenv(killedLater) != "" {
		fmt.Println("written")
		<-t.Context().Done()
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Kill(); err != nil {
		t.Fatal(err)
	}
	<-t.Context().Done() // the signal is on its way
}

// TestAFileOfAnotherProcessIsSweptWhenThatIsDead has others write to the folder while a process writes there, and after it was killed.
func TestAFileOfAnotherProcessIsSweptWhenThatIsDead(t *testing.T) {
	root := t.TempDir()
	writer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteUntilKilled$")
	writer.Env = append(os.Environ(), killedRoot+"="+root, killedKey+"=cam/1.tar", killedLater+"=1")
	writer.Stdin = strings.NewReader("half of it")
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("written"))); err != nil {
		t.Fatal(err)
	}
	unfinished := func(key string) int {
		t.Helper()
		if err := openDir(t, root, false).Put(t.Context(), key, []byte("x"), sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		left, err := filesThat(root, true)
		if err != nil {
			t.Fatal(err)
		}
		return len(left)
	}
	if n := unfinished("cam/2.jpg"); n != 1 {
		t.Errorf("%d unfinished files while the writer writes, want its own", n)
	}
	if err := writer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Wait() // it was killed
	if n := unfinished("cam/3.jpg"); n != 0 {
		t.Errorf("%d unfinished files when the writer is dead", n)
	}
}

func TestDirConformsToTheContract(t *testing.T) { storetest.Run(t, dirHarness(false)) }

func TestDirWithFsyncConformsToTheContract(t *testing.T) { storetest.Run(t, dirHarness(true)) }

func BenchmarkDirPut(b *testing.B) { storetest.Benchmark(b, dirHarness(false)) }

func BenchmarkDirPutWithFsync(b *testing.B) { storetest.Benchmark(b, dirHarness(true)) }

func memHarness(testing.TB) storetest.Harness {
	store := sink.NewMem()
	return storetest.Harness{
		Store: store,
		Get: func(_ context.Context, key string) ([]byte, error) {
			object, err := store.Get(key)
			return object.Body, err
		},
		List: func(context.Context) ([]string, error) { return store.Keys(), nil },
	}
}

func TestMemConformsToTheContract(t *testing.T) { storetest.Run(t, memHarness) }

func BenchmarkMemPut(b *testing.B) { storetest.Benchmark(b, memHarness) }

func TestAKeyThatIsAFolderOrGoesThroughAFileIsAClearError(t *testing.T) {
	for _, fsync := range []bool{false, true} {
		for _, ifAbsent := range []bool{false, true} {
			root := t.TempDir()
			dir := openDir(t, root, fsync)
			opts := sink.PutOptions{IfAbsent: ifAbsent}
			if err := dir.Put(t.Context(), "cam/front/1.jpg", []byte("one"), opts); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"cam", "cam/front", "cam/front/1.jpg/2.jpg", "cam/front/1.jpg/a/b/2.jpg"} {
				if err := dir.Put(t.Context(), key, []byte("two"), opts); !errors.Is(err, sink.ErrKeyConflict) {
					t.Errorf("put of %q (if absent %t) gave %v, want sink.ErrKeyConflict", key, ifAbsent, err)
				}
			}
			if got, err := files(root); err != nil || !slices.Equal(got, []string{"cam/front/1.jpg"}) {
				t.Errorf("the directory has %q (%v), want the first object alone", got, err)
			}
		}
	}
}

func TestKeysThatADirectoryCannotTakeAreRefused(t *testing.T) {
	root := t.TempDir()
	dir := openDir(t, root, false)
	for _, key := range []string{
		strings.Repeat("x", sink.MaxSegmentBytes+1), "a/" + strings.Repeat("x", sink.MaxSegmentBytes+1) + "/b", ".kvsframes-tmp-x", "a/.kvsframes-tmp-x/b",
	} {
		if err := dir.Put(t.Context(), key, []byte("x"), sink.PutOptions{}); !errors.Is(err, sink.ErrKey) {
			t.Errorf("put of %q gave %v, want sink.ErrKey", key, err)
		}
	}
	if got, err := files(root); err != nil || len(got) != 0 {
		t.Errorf("the directory has %q (%v), want nothing", got, err)
	}
}

func TestSymbolicLinksLeadNowhereOutsideTheDirectory(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	for link, target := range map[string]string{"out": outside, "up": "../" + filepath.Base(outside), "in": "real"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := openDir(t, root, false)
	for _, key := range []string{"out/x.jpg", "out/a/x.jpg", "up/x.jpg"} {
		if err := dir.Put(t.Context(), key, []byte("x"), sink.PutOptions{}); err == nil {
			t.Errorf("put of %q was taken", key)
		}
	}
	if err := dir.Put(t.Context(), "in/x.jpg", []byte("x"), sink.PutOptions{}); err != nil {
		t.Errorf("put through a link that stays inside: %v", err)
	}
	if got, err := files(outside); err != nil || len(got) != 0 {
		t.Errorf("outside there is %q (%v), want nothing", got, err)
	}
}

func TestALinkInPlaceOfAnObjectIsReplacedAndNotFollowed(t *testing.T) {
	outside, root := filepath.Join(t.TempDir(), "precious"), t.TempDir()
	if err := os.WriteFile(outside, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "x.jpg")); err != nil {
		t.Fatal(err)
	}
	dir := openDir(t, root, false)
	if err := dir.Put(t.Context(), "x.jpg", []byte("new"), sink.PutOptions{IfAbsent: true}); !errors.Is(err, sink.ErrExist) {
		t.Errorf("conditional put gave %v, want sink.ErrExist", err)
	}
	if err := dir.Put(t.Context(), "x.jpg", []byte("new"), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "precious" {
		t.Errorf("the file outside is %q (%v)", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "x.jpg")); err != nil || string(got) != "new" {
		t.Errorf("the object is %q (%v)", got, err)
	}
}

func TestADirectoryThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.OpenDir(filepath.Join(file, "out"), false); err == nil {
		t.Error("a directory below a file was opened")
	}
}

func TestLeftoversOfEarlierRunsAreSweptWhereTheStoreWrites(t *testing.T) {
	const name = ".kvsframes-tmp-ABCDEFGHIJKLMNOPQRSTUVWX23"
	root := t.TempDir()
	now := time.Now()
	leave := func(file string, age time.Duration) {
		file = filepath.Join(root, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("half a pic"), 0o600), os.Chtimes(file, now, now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	leave("cam/"+name, 2*time.Hour)
	leave("cam/"+name+"YOUNG", 0)
	leave("cam/.kvsframes-tmp-notes", 1000*time.Hour) // not of our making
	leave("cam/"+name+".jpg", 1000*time.Hour)
	leave("cam/old.jpg", 1000*time.Hour)
	leave("cam/sub/"+name, 2*time.Hour) // nothing is written there
	leave("other/"+name, 2*time.Hour)
	if err := os.MkdirAll(filepath.Join(root, "cam", name+"FOLDER"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(root, "cam", name+"FOLDER"), now, now.Add(-1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	dir := openDir(t, root, false)
	put := func(key string) {
		t.Helper()
		if err := dir.Put(t.Context(), key, []byte("picture"), sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...string) {
		t.Helper()
		slices.Sort(want)
		if got, err := files(root); err != nil || !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q (%v)", got, want, err)
		}
	}
	put("cam/1.jpg")
	stay := []string{"cam/.kvsframes-tmp-notes", "cam/" + name + ".jpg", "cam/old.jpg", "cam/sub/" + name, "other/" + name}
	check(append(stay, "cam/1.jpg")...)
	if info, err := os.Stat(filepath.Join(root, "cam", name+"FOLDER")); err != nil || !info.IsDir() {
		t.Errorf("a folder was swept: %v", err)
	}
	// A folder is looked at once.
	leave("cam/"+name, 2*time.Hour)
	put("cam/2.jpg")
	check(append(stay, "cam/1.jpg", "cam/2.jpg", "cam/"+name)...)
}

// A file that is still written is no leftover, however long nothing has come.
func TestAFileThatIsStillWrittenIsNotSwept(t *testing.T) {
	root := t.TempDir()
	w, err := openDir(t, root, false).Create(t.Context(), "cam/1.tar", sink.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), []byte("one ")); err != nil {
		t.Fatal(err)
	}
	left, err := filesThat(root, true)
	old := time.Now().Add(-1000 * time.Hour)
	if err := errors.Join(err, os.Chtimes(filepath.Join(root, left[0]), old, old)); err != nil {
		t.Fatal(err)
	}
	if err := openDir(t, root, false).Put(t.Context(), "cam/2.jpg", []byte("x"), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), []byte("two")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "cam", "1.tar")); err != nil || string(got) != "one two" {
		t.Errorf("the object is %q (%v)", got, err)
	}
}
