package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var (
	// ErrExist is returned by Put and Commit when PutOptions.IfAbsent is set and
	// an object of that key is already there.
	ErrExist = errors.New("object exists already")
	// ErrKey is returned by Put and Create when the key is none that a store
	// could take.
	ErrKey = errors.New("key is not valid")
	// ErrFenced is returned by an ObjectWriter when another writer of its key has begun since, and the
	// store has taken this one for a leftover.
	ErrFenced = errors.New("another writer of the object has begun")
	// ErrKeyConflict is returned by Put, Create and Commit of a store that has folders when the
	// key is a folder of other objects, or goes through an object.
	ErrKeyConflict = errors.New("key is both an object and a folder of others")
)

// PutOptions describes an object beside its content. A store that has no place for a part of it (a
// directory has none for metadata) ignores that.
type PutOptions struct {
	// ContentType is the media type of the object.
	ContentType string
	// Metadata is user metadata, names in lower case.
	Metadata map[string]string
	// IfAbsent refuses to replace an object: Put and Commit then return ErrExist.
	IfAbsent bool
}

// Store is a place for objects. Package sink/storetest tests an implementation. Several goroutines may
// call its methods at once, for the same key too: one of the bodies is then the object.
//
// An error whose trouble may pass (a server out of reach, a full disk) is one for which Passing returns true: a sink repeats
// the call as it is.
//
// A key is slash-separated, relative and valid UTF-8. A cancelled context ends a wait with the context's
// error.
type Store interface {
	// Put writes body under key, and neither keeps nor changes it. When it returns nil the object is
	// durable and whole. When it returns an error or the process dies nothing half-written is visible
	// under key, and an older object of that key is as it was. A key that CheckKey refuses gives ErrKey.
	Put(ctx context.Context, key string, body []byte, opts PutOptions) error
	// Create begins an object of any size, which is written piece by piece. It returns ErrKey as Put
	// does. The caller must call Commit or Abandon.
	Create(ctx context.Context, key string, opts PutOptions) (ObjectWriter, error)
	// Holds reports whether the object of key is body, byte for byte or by size and
	// checksum. It is false where the store cannot tell. No object of key gives an error
	// that is fs.ErrNotExist.
	Holds(ctx context.Context, key string, body []byte) (bool, error)
}

// ObjectWriter writes one object, which appears as a whole, with Commit, or not at all: until then, and
// after an error, an older object of the key is as it was. Its memory does not grow with the object.
// One goroutine at a time calls its methods. A cancelled context ends a wait with the context's error.
//
// A process that dies leaves something behind that nobody sees: a store removes it when it writes
// to that place again. Where it cannot tell that from a writer at work, the one that has begun last
// continues, and calls of those before it fail: with ErrFenced, if the store knows why.
type ObjectWriter interface {
	// Write appends p, and neither keeps nor changes it. After an error nothing but Abandon is called.
	Write(ctx context.Context, p []byte) error
	// Commit makes the object durable and visible. After an error the object may be there in full all
	// the same, if an answer was lost, and nothing but Abandon is called.
	Commit(ctx context.Context) error
	// Abandon removes what was written. It does nothing when Commit has returned nil, so that it can be
	// deferred. It needs no context, since it is for cases in which one has ended, and takes 10 s at most.
	// Write and Commit return an error after it.
	Abandon() error
}

// CheckKey returns an error that is ErrKey unless key is relative, has no empty
// segment, no segment `.` or `..`, no NUL and is valid UTF-8. Every Store checks
// its keys with it, so that none can leave the destination.
func CheckKey(key string) error {
	if !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return fmt.Errorf("%w: %q has bytes that are no text", ErrKey, key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "":
			return fmt.Errorf("%w: %q has an empty segment", ErrKey, key)
		case ".", "..":
			return fmt.Errorf("%w: %q has the segment %q", ErrKey, key, segment)
		}
	}
	return nil
}
