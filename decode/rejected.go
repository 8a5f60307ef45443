//go:build cgo

package decode

import (
	"encoding/binary"

	"github.com/kvsframes/kvsframes/media"
)

// rejected is what was measured of a frame that is certainly not chosen. Many of them are sent together.
type rejected struct {
	frame, output int
	concealed     bool
	measured      *media.Measured
}

// The sizes of what is sent together, in bytes: what is as large as fullRejected is sent, and nothing is larger than mostRejected. Before each frame's measures
// are its index, the output, the size of the measures, and whether it is concealed.
const (
	rejectedSize = 3*4 + 1
	fullRejected = 64 << 10
	mostRejected = fullRejected + rejectedSize + measuredSize + mostLuma
)

func appendRejected(dst []byte, s rejected) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(s.frame))
	dst = le.AppendUint32(dst, uint32(s.output))
	size := len(dst)
	dst = le.AppendUint32(dst, 0)
	concealed := byte(0)
	if s.concealed {
		concealed = 1
	}
	dst = append(dst, concealed)
	dst = appendMeasured(dst, *s.measured)
	le.PutUint32(dst[size:], uint32(len(dst)-size-5))
	return dst
}

// readRejected reads what appendRejected has written first in b, and returns what follows.
func readRejected(b []byte) (s rejected, rest []byte, err error) {
	if len(b) < rejectedSize {
		return s, nil, errNonsense
	}
	le := binary.LittleEndian
	size := uint64(le.Uint32(b[8:]))
	s = rejected{frame: int(le.Uint32(b)), output: int(le.Uint32(b[4:])), concealed: b[12] != 0}
	if b = b[rejectedSize:]; size < measuredSize || size > uint64(len(b)) {
		return s, nil, errNonsense
	}
	s.measured, err = readMeasured(b[:size])
	return s, b[size:], err
}
