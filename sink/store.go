// Package sink writes images to a destination under names that are pure
// functions of the frame, and records each one in a manifest once it is durable.
package sink

import (
	"context"
	"errors"
)

// ErrExist is returned by a Store's Put when PutOptions.IfAbsent is set and an
// object of that key is already there.
var ErrExist = errors.New("object exists already")

// PutOptions say what goes with an object. A store that has no place for one of
// them (a directory has none for metadata) ignores it.
type PutOptions struct {
	// ContentType is the media type of the object.
	ContentType string
	// Metadata is user metadata, names in lower case.
	Metadata map[string]string
	// IfAbsent refuses to replace an object: Put then returns ErrExist.
	IfAbsent bool
}

// Store is a place for objects: a driver that destinations implement and that
// the conformance suite of package storetest checks.
type Store interface {
	// Put writes body under key (slash-separated, relative, valid UTF-8). When
	// it returns nil the object is durable and whole; when it returns an error
	// or the process dies nothing half-written is visible under key, and an older object of that key is as it
	// was. A cancelled context ends a waiting Put with the context's error. Put does
	// not keep or change body. Several goroutines may call it at once, for the same key too:
	// one of the bodies is then the object.
	Put(ctx context.Context, key string, body []byte, opts PutOptions) error
}
