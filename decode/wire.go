//go:build cgo

package decode

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/kvsframes/kvsframes/media"
)

// A pool and its child processes talk in messages. Media and images lie in memory that both see: the first half belongs to the parent
// while the child is idle and to the child while it works, and the second half the other way around.
//
//	parent                       child
//	                             hello        once
//	task, part of the media
//	                             more         if there are more parts
//	part
//	                             image, part  for each image
//	                             rejected, part  for frames that are not chosen: what was measured of them
//	                             data, part   for each further part of either
//	                             miss, lose or fatal
//	                             full         when it has no room for a part
//	go on                        after the parent has copied all
//	                             end, or again if a new decoder must be led up
const (
	msgHello    = 'h'
	msgTask     = 't'
	msgPart     = 'c'
	msgMore     = 'g'
	msgImage    = 'i'
	msgRejected = 'r'
	msgData     = 'd'
	msgFull     = 's'
	msgGoOn     = 'a'
	msgMiss     = 'm'
	msgLose     = 'l'
	msgFatal    = 'f'
	msgAgain    = 'w'
	msgEnd      = 'e'
	msgPanic    = 'p'
)

// windowSize is the size of each half of the shared memory.
const windowSize = 4 << 20

// message is what one process tells the other. What the fields mean depends on the kind.
type message struct {
	head
	// text is the reason of a miss, lose or fatal, and the cause of a panic.
	text string
}

type head struct {
	Kind byte
	// Flag is for task: the stream is another one. For image: it is concealed. For end: something was wrong, or the fragment was refused.
	// For hello: system calls are filtered.
	Flag bool
	// Goes is for task: the decoder of the last one continues. For image: its values have the full range. For end: a decoder is kept that can continue.
	Goes bool
	// Reason is the index of a gap's reason in reasons.
	Reason byte
	// Frame is the frame of an image, miss or fatal; for end the number of decoded frames, for hello the version of Landlock.
	Frame, Output, Width, Height uint32
	// Measured is for image: how many of its bytes are what was measured, which comes first.
	Measured uint32
	// Offset and Size locate a part, Total is the size of all parts. For end, Size is the number of libav's objects.
	Offset, Size, Total uint64
}

// The limits of a message, in bytes.
const (
	headSize    = 4 + 5*4 + 3*8
	mostText    = 1024
	mostMessage = headSize + mostText
)

// reasons are the reasons of gaps that a child can state.
var reasons = []media.GapReason{media.GapDamaged, media.GapUnsupported, media.GapConcealed}

var errNoMessage = errors.New("the bytes are no message")

func (m message) append(dst []byte) []byte {
	dst, err := binary.Append(dst, binary.LittleEndian, m.head)
	if err != nil { // the size of head is fixed
		panic(err)
	}
	return append(dst, m.text[:min(len(m.text), mostText)]...)
}

func readMessage(b []byte) (m message, err error) {
	n, err := binary.Decode(b, binary.LittleEndian, &m.head)
	if err != nil || len(b) > mostMessage {
		return m, errNoMessage
	}
	m.text = string(b[n:])
	return m, nil
}

// problem returns a message about images that are missing.
func problem(kind byte, k int, err error) message {
	return message{head{Kind: kind, Frame: uint32(k), Reason: byte(max(0, slices.Index(reasons, reasonOf(err))))}, err.Error()}
}

// err returns the error of such a message. The text comes from a process that must not be trusted.
func (m message) err() error {
	if int(m.Reason) >= len(reasons) || m.text == "" {
		return nil
	}
	return reason(reasons[m.Reason], errors.New(printable(m.text)))
}
