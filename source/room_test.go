package source

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// TestMemoryThatIsGivenBackMakesNoDifference splits every payload of the table as a file of known size,
// and overwrites each fragment when it has been looked at. A file may also turn out shorter than it was.
func TestMemoryThatIsGivenBackMakesNoDifference(t *testing.T) {
	for _, c := range splits() {
		for _, size := range []int{len(c.payload), 10 * len(c.payload)} {
			want := readAll(t, bytes.NewReader(c.payload), SplitConfig{})
			s := NewSplitter(bytes.NewReader(c.payload), SplitConfig{Size: int64(size)})
			for i := 0; ; i++ {
				f, err := s.Next()
				if i == len(want) {
					break
				}
				if got := describe(f, err); got != describe(want[i].fragment, want[i].err) {
					t.Errorf("%s: got %s, want %s", c.name, got, describe(want[i].fragment, want[i].err))
				}
				if f != nil && !bytes.Equal(f.MKV, want[i].fragment.MKV) {
					t.Errorf("%s: answer %d has other bytes", c.name, i)
				}
				if f != nil && f.Recycle != nil {
					clear(f.MKV)
					f.Recycle()
				}
			}
		}
	}
}

func TestAFileIsReadIntoMemoryThatIsGivenBack(t *testing.T) {
	frame := element(ebml.IDSimpleBlock, []byte{0x81, 0, 0, 0x80}, make([]byte, 100<<10))
	var payload []byte
	for _, n := range []string{"1", "2", "3"} {
		payload = append(payload, cat(segment(), header(), opening(n), cluster(1000, frame), closing(n))...)
	}
	inputs, err := Files(Config{Origin: FileConfig{Paths: []string{filepath.Join(folder(t, map[string][]byte{"cam.mkv": payload}), "cam.mkv")}}}, nil, nil)
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
