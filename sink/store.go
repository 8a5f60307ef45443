package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var (
	// ErrExist is returned by Put and Commit when PutOptions.IfAbsent is set and an object of that key exists.
	ErrExist = errors.New("object exists already")
	// ErrUnseen is returned by Same where nobody may ask whether there is an object, or what it holds.
	ErrUnseen = errors.New("the store does not tell what is there")
	// ErrKey is returned by Put and Create when the key is invalid.
	ErrKey = errors.New("key is not valid")
	// ErrFenced is returned by an ObjectWriter when a later writer of its key has begun, and the store
	// discarded the object of the earlier one.
	ErrFenced = errors.New("another writer of the object has begun")
	// ErrKeyConflict is returned by Put, Create and Commit of a store with folders when the key is a folder of
	// other objects, or has an object as a folder.
	ErrKeyConflict = errors.New("key is both an object and a folder of others")
)

// PutOptions describes an object apart from its content. A store ignores the options that it does not
// support, such as metadata in a directory.
type PutOptions struct {
	// ContentType is the media type of the object.
	ContentType string
	// Metadata is user metadata, names in lower case.
	Metadata map[string]string
	// IfAbsent refuses to replace an object: Put and Commit then return ErrExist.
	IfAbsent bool
	// Confirm, if it is not nil, returns nil while the caller may write. A store calls it before each attempt to make an
	// object visible, and fails with its error.
	Confirm func(ctx context.Context) error
	// Head, if it is not nil, returns the first bytes of an object that is created. Commit puts them in place of as many that were
	// written, since what an object begins with may depend on all of it. They are less than a MiB. Put ignores Head.
	Head func() []byte
}

// confirm returns the error of Confirm, or that of a context that has ended.
func (o PutOptions) confirm(ctx context.Context) error {
	if err := ctx.Err(); err != nil || o.Confirm == nil {
		return err
	}
	return o.Confirm(ctx)
}

// Store holds objects. Package sink/storetest tests an implementation. Several goroutines may call its
// methods at once, even for the same key: one of the bodies then becomes the object.
//
// For the error of a temporary failure (a server out of reach, a full disk) Passing returns true: a sink
// repeats the call.
//
// A key is slash-separated, relative and valid UTF-8. A cancelled context ends a wait with the context's
// error.
type Store interface {
	// Put writes body under key. It neither keeps nor changes body. When it returns nil, the object is whole
	// and durable. When it returns an error or the process dies, no partial object is visible under key, and
	// an older object of that key is unchanged. Put returns ErrKey for a key that CheckKey rejects.
	Put(ctx context.Context, key string, body []byte, opts PutOptions) error
	// Create begins an object of any size, which is written piece by piece. It returns ErrKey like Put. The
	// caller must call Commit or Abandon.
	Create(ctx context.Context, key string, opts PutOptions) (ObjectWriter, error)
	// Holds reports whether the object of key equals body, by its bytes or by size and checksum. It returns
	// false where the store cannot know. Without an object it returns an error that is fs.ErrNotExist.
	Holds(ctx context.Context, key string, body []byte) (bool, error)
}

// ObjectWriter writes one object. Commit makes the whole object visible; until then, and after an error, an
// older object of the key is unchanged. Memory use does not grow with the object. One goroutine at a time
// calls its methods. A cancelled context ends a wait with the context's error.
//
// A process that dies leaves an invisible leftover, which a store removes when it writes to the same place
// again. Where the store cannot tell a leftover from an active writer, the latest writer continues and calls
// of earlier ones fail: with ErrFenced, if the store knows the reason.
type ObjectWriter interface {
	// Write appends p. It neither keeps nor changes p. After an error for which Passing returns true it may be called again with
	// the same p, which is then written once. After another error only Abandon may be called.
	Write(ctx context.Context, p []byte) error
	// Commit makes the object durable and visible. After an error the object may still exist in full, if an
	// answer was lost. If Passing returns true for the error, Commit may be called again, otherwise only Abandon, or
	// Same after ErrExist.
	Commit(ctx context.Context) error
	// Same reports whether the object of the key equals what was written, by its bytes or by size and checksum. Without an object it returns an
	// error that is fs.ErrNotExist, and ErrUnseen where the store does not tell. It may be called when all is written, and after Commit returned
	// ErrExist, and Commit after it.
	Same(ctx context.Context) (bool, error)
	// Abandon removes what was written. It does nothing after Commit returned nil, so that it can be deferred.
	// It takes no context, because it is often called after a context has ended; it returns within 10 seconds.
	// Afterwards Write and Commit return an error.
	Abandon() error
}

// CheckKey returns an error that is ErrKey unless key is relative and valid UTF-8, and has no NUL and no
// segment that is empty, `.` or `..`. Every Store calls it, so that no key can leave the destination.
func CheckKey(key string) error {
	if !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return fmt.Errorf("%w: %q is not valid UTF-8", ErrKey, key)
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
