package kvstest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// Whatever a producer sends, it is taken in or refused, and what is taken in can be read.
func FuzzIntake(f *testing.F) {
	head := producerHead(1)
	f.Add(slices.Concat(head, producerCluster(0, key("a"), simpleBlock(40, 0, "b")), tagsOf("door", "open"), openCluster(2000, key("c")), tagsOf(endTag, "")))
	f.Add(plainFile(100_000, plainCluster(10, blockGroup(0, true, "a"), blockGroup(5, false, "b"))))
	f.Add(slices.Concat(head, openCluster(0, key("a")), head))
	f.Add(head[:30])
	f.Fuzz(func(t *testing.T, body []byte) {
		fragments := 0
		in := &intake{
			in:    ebml.NewReader(bytes.NewReader(body)),
			begin: func(time.Duration) {},
			end: func(p *putFragment) {
				fragments++
				data := slices.Concat(p.head, p.leading, p.cluster, p.trailing)
				d, err := readDocument(data)
				if err != nil || d.cut || len(d.blocks) != len(p.doc.blocks) {
					t.Errorf("a fragment of %d blocks is read as %+v, %v", len(p.doc.blocks), d, err)
				}
				if p.size() > maxPutFragment {
					t.Errorf("the fragment has %d bytes", p.size())
				}
			},
		}
		err := in.run()
		var bad *putError
		if err != nil && !errors.As(err, &bad) {
			t.Errorf("error is %v", err)
		}
	})
}
