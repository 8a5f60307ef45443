package payload

import (
	"bytes"
	"testing"
)

// TestMemoryThatIsGivenBackMakesNoDifference splits every payload of the table as a file of known size,
// and overwrites each fragment when it has been looked at. A file may also turn out shorter than it was.
func TestMemoryThatIsGivenBackMakesNoDifference(t *testing.T) {
	for _, c := range splits() {
		for _, size := range []int{len(c.payload), 10 * len(c.payload)} {
			want := readAll(t, bytes.NewReader(c.payload), Config{})
			s := NewSplitter(bytes.NewReader(c.payload), Config{Size: int64(size)})
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
