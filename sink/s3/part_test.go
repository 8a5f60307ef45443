package s3_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

// partsInFiles runs the conformance suite over a store that has room for so many bytes of parts in memory.
func partsInFiles(t *testing.T, room int64) {
	t.Helper()
	stores := harness(t, "")
	var opened []*s3.Store
	storetest.Run(t, func(tb testing.TB) storetest.Harness {
		h := stores(tb)
		store := h.Store.(*s3.Store)
		s3.SetRoom(store, room)
		opened = append(opened, store)
		return h
	})
	for i, store := range opened {
		if left := s3.Room(store); left != room {
			t.Errorf("store %d has room for %d bytes in the end, want %d", i, left, room)
		}
	}
}

// TestOpenObjectsShareABudgetOfMemory has 30 objects of nearly two parts open at once, with heads that are known at the end.
func TestOpenObjectsShareABudgetOfMemory(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	const room, streams, size = 4 << 20, 30, 15 << 20
	piece := bytes.Repeat([]byte("kvsframes"), 1<<16)
	for name, test := range map[string]struct {
		folder string // for temporary files; "" for none
		most   int64  // of memory
	}{
		"a folder for files": {t.TempDir(), room + 8<<20},
		"none":               {"", streams*16<<20 + 8<<20},
	} {
		t.Run(name, func(t *testing.T) {
			folder := test.folder
			if folder == "" {
				folder = filepath.Join(t.TempDir(), "missing")
			}
			t.Setenv("TMPDIR", folder)
			d := destination(t, server)
			store := open(t, d)
			s3.SetRoom(store, room)
			before := heap()
			head := []byte("the head")
			var writers []sink.ObjectWriter
			for i := range streams {
				w, err := store.Create(t.Context(), fmt.Sprint(i), sink.PutOptions{Head: func() []byte { return head }})
				if err != nil {
					t.Fatal(err)
				}
				writers = append(writers, w)
			}
			for written := 0; written+len(piece) <= size; written += len(piece) {
				for _, w := range writers {
					if err := w.Write(t.Context(), piece); err != nil {
						t.Fatal(err)
					}
				}
			}
			grown := heap() - before
			if grown > test.most || test.folder == "" && grown < streams*size {
				t.Errorf("%d objects take %d bytes of memory, want %d at most", streams, grown, test.most)
			}
			if left, err := os.ReadDir(test.folder); test.folder != "" && (err != nil || len(left) > 0) {
				t.Errorf("%d files have names, %v", len(left), err)
			}
			if err := writers[0].Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := bytes.Repeat(piece, size/len(piece))
			copy(want, head)
			if got, err := server.Get(t.Context(), d.Bucket, "0"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the object has %d bytes, want the %d written, %v", len(got), len(want), err)
			}
			for _, w := range writers[1:] {
				if err := w.Abandon(); err != nil {
					t.Error(err)
				}
			}
			if left := s3.Room(store); left != room {
				t.Errorf("room for %d bytes in the end, want %d", left, room)
			}
		})
	}
}

// heap returns how much memory is in use, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
