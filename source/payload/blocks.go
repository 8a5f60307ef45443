package payload

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// maxBlocks bounds the blocks of one fragment: with lacing one byte of input can make a block, which takes 48
// bytes in memory.
const maxBlocks = 1 << 17

// span is a range in memory, in bytes.
type span struct{ at, len int }

// blockHead holds the header of a SimpleBlock or Block (RFC 9559, section 10).
type blockHead struct {
	track uint64
	// time is in timestamp units, from the cluster's timestamp.
	time  int16
	flags byte
	key   bool
	// duration is also in timestamp units, 0 if it is not given.
	duration uint64
	// at is the offset of the block's data in its element, in bytes.
	at int
}

const (
	flagKey    = 0x80
	flagLacing = 0x06
)

// appendBlock appends a frame as a SimpleBlock; time is relative to the Cluster, in timestamp units.
func appendBlock(dst []byte, b media.Block, time int16, data []byte) []byte {
	flags := byte(0)
	if b.Key {
		flags = flagKey
	}
	return ebml.AppendSimpleBlock(dst, b.Track, time, flags, data)
}

// parseBlock reads a block and returns the places of its frames in data.
func parseBlock(data []byte) (blockHead, []span, error) {
	number, n, err := ebml.ParseSize(data)
	if err != nil || number == ebml.UnknownSize {
		return blockHead{}, nil, errors.New("block without a track number")
	}
	if len(data) < n+3 {
		return blockHead{}, nil, errors.New("block ends inside its header")
	}
	head := blockHead{
		track: uint64(number),
		time:  int16(binary.BigEndian.Uint16(data[n:])),
		flags: data[n+2],
	}
	n += 3
	if head.flags&flagLacing == 0 {
		return head, []span{{n, len(data) - n}}, nil
	}
	frames, err := lacedFrames(head.flags, data[n:])
	if err != nil {
		return head, nil, err
	}
	for i := range frames {
		frames[i].at += n
	}
	return head, frames, nil
}

// lacedFrames reads the sizes of the frames in one block (RFC 9559, section 10.3). It rejects a frame of no bytes.
func lacedFrames(flags byte, data []byte) ([]span, error) {
	if len(data) == 0 {
		return nil, errors.New("laced block without a frame count")
	}
	count := int(data[0]) + 1
	sizes := make([]int, count)
	var at int
	var err error
	switch flags & flagLacing {
	case 0x02:
		at, err = xiphSizes(data, sizes[:count-1])
	case 0x04:
		at = 1
		for i := range sizes[:count-1] {
			sizes[i] = (len(data) - at) / count
		}
		if (len(data)-at)%count != 0 {
			err = errors.New("frames of unequal size in a block with fixed-size lacing")
		}
	default:
		at, err = ebmlSizes(data, sizes[:count-1])
	}
	if err != nil {
		return nil, err
	}
	rest := len(data) - at
	for _, size := range sizes[:count-1] {
		rest -= size
	}
	sizes[count-1] = rest
	frames := make([]span, count)
	for i, size := range sizes {
		if size <= 0 {
			return nil, errors.New("laced frames do not fit their block")
		}
		frames[i] = span{at, size}
		at += size
	}
	return frames, nil
}

// xiphSizes reads sizes as runs of bytes that are added up, where 255 means that another byte follows. It
// returns the offset of the first frame.
func xiphSizes(data []byte, sizes []int) (int, error) {
	at := 1
	for i := range sizes {
		for more := true; more; at++ {
			if at >= len(data) {
				return 0, errors.New("block ends inside its lacing")
			}
			sizes[i] += int(data[at])
			more = data[at] == 255
		}
	}
	return at, nil
}

// ebmlSizes reads the first size as an EBML number and each further one as a signed difference. It returns the
// offset of the first frame.
func ebmlSizes(data []byte, sizes []int) (int, error) {
	at := 1
	var size int64
	for i := range sizes {
		v, n, err := ebml.ParseSize(data[at:])
		if err != nil || v == ebml.UnknownSize {
			return 0, errors.New("block with a broken lacing size")
		}
		if i > 0 {
			v -= 1<<(7*n-1) - 1
		}
		size += v
		if size <= 0 || size > int64(len(data)) {
			return 0, errors.New("laced frames do not fit their block")
		}
		sizes[i] = int(size)
		at += n
	}
	return at, nil
}

// parseGroup reads the Block in the payload of a BlockGroup. The Block is a key frame if it refers to no other.
func parseGroup(group []byte) (head blockHead, frames []span, err error) {
	var block ebml.Element
	var duration uint64
	key := true
	for e, err := range ebml.Elements(group) {
		if err != nil {
			return head, nil, fmt.Errorf("block group: %w", err)
		}
		switch e.ID {
		case ebml.IDBlock:
			block = e
		case ebml.IDReferenceBlock:
			key = false
		case ebml.IDBlockDuration:
			if duration, err = ebml.Uint(e.Data); err != nil {
				return head, nil, fmt.Errorf("block duration: %w", err)
			}
		}
	}
	if block.Data == nil {
		return head, nil, errors.New("block group without a block")
	}
	head, frames, err = parseBlock(block.Data)
	head.at, head.key, head.duration = block.Offset, key, duration
	return head, frames, err
}

// cutsVideo reports whether the unfinished element at the end of the input is a block of the video track. If
// the input ended before the track number, it is one if there is no other track.
func cutsVideo(partial []byte, video uint64, tracks []track) bool {
	header, err := ebml.ParseHeader(partial)
	if err != nil || header.ID != ebml.IDSimpleBlock && header.ID != ebml.IDBlockGroup {
		return false
	}
	if video == 0 {
		return false
	}
	body := partial[header.Len:]
	if header.ID == ebml.IDBlockGroup {
		body = cutBlock(body)
	}
	number, _, err := ebml.ParseSize(body)
	if err != nil {
		return len(tracks) == 1
	}
	return uint64(number) == video
}

// cutBlock returns the available part of the Block in an unfinished BlockGroup.
func cutBlock(group []byte) []byte {
	for {
		header, err := ebml.ParseHeader(group)
		if err != nil {
			return nil
		}
		group = group[header.Len:]
		if header.ID == ebml.IDBlock {
			return group
		}
		if header.Size < 0 || header.Size > int64(len(group)) {
			return nil
		}
		group = group[header.Size:]
	}
}
