package payload

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestASplitterTellsWhetherThePayloadEndedBetweenElements(t *testing.T) {
	whole := cat(segment(), header(), opening("1"), cluster(0, key(0), delta(33)))
	unknown := cat(segment(), header(), opening("1"), openCluster(0, key(0), delta(33)))
	for _, c := range []struct {
		name       string
		payload    []byte
		cut, whole bool
	}{
		{"a chunk without closing tags", whole, false, true},
		{"a chunk with them", cat(whole, closing("1")), false, true},
		{"a cluster of unknown size", unknown, true, true},
		{"a cluster of unknown size inside a block", short(unknown, 1), true, false},
		{"a cluster of known size between its blocks", short(whole, len(delta(33))), true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSplitter(bytes.NewReader(c.payload), Config{})
			f, err := s.Next()
			if err != nil || f.Cut != c.cut {
				t.Fatalf("got %+v, %v", f, err)
			}
			if _, err := s.Next(); !errors.Is(err, io.EOF) || s.EndedWhole() != c.whole {
				t.Errorf("got %v, ended whole: %v", err, s.EndedWhole())
			}
		})
	}
	s := NewSplitter(io.MultiReader(bytes.NewReader(unknown), brokenReader{}), Config{})
	for range 2 {
		_, _ = s.Next()
	}
	if s.EndedWhole() {
		t.Error("a payload that broke off has ended whole")
	}
}

// brokenReader is a connection that breaks.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
