// Package checkpoint keeps where the reading of a stream is, so that a later run continues there.
//
// A [Store] keeps one checkpoint: a JSON value whose meaning is the caller's. It has one owner at a time:
//
//	c, err := checkpoint.NewFile("cam.json").Acquire(ctx, false)
//	...
//	defer c.Release(ctx)
//	state := c.State()
//	...
//	err = c.Save(ctx, next)
//
// [NewFile] returns a checkpoint in a file. [NewLease] returns one in any object that is replaced by compare-and-swap,
// such as an object in S3.
package checkpoint

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// MaxSize is the size of the largest checkpoint that is read or written, in bytes.
const MaxSize = 16 << 20

// Store keeps one checkpoint. Package checkpoint/checkpointtest tests an implementation.
type Store interface {
	// Acquire makes the caller the owner of the checkpoint until Release, and writes that down. The error is an
	// *OwnedError while there is another owner. The checkpoint need not exist. One that cannot be read is an error, and
	// stays as it is. With forget, the new owner begins without a state, whether that can be read or not.
	Acquire(ctx context.Context, forget bool) (Checkpoint, error)
}

// Checkpoint is a checkpoint that the caller owns. One goroutine at a time calls its methods, except for Confirm and Lost.
//
// Each owner has a generation, which is one more than that of the owner before it. A checkpoint of another owner is never
// replaced: once there is one, Save and Confirm return a *LostError.
type Checkpoint interface {
	// Name is where the checkpoint is, for messages.
	Name() string
	// State returns what was saved last, by this owner or an earlier one; nil for nothing.
	State() []byte
	// Save replaces the state by another JSON value. When it returns nil, the new state is durable. After another error,
	// or when the process dies, the checkpoint holds the old or the new one, whole.
	Save(ctx context.Context, state []byte) error
	// Confirm returns nil if the caller is the owner now. Where it is not sure, it waits until it is, or ctx ends.
	Confirm(ctx context.Context) error
	// Lost is closed as soon as it is known that there is another owner.
	Lost() <-chan struct{}
	// Release ends the ownership, so that another owner need not wait. It may be called more than once.
	Release(ctx context.Context) error
}

// OwnedError is the error of Acquire for a checkpoint that has an owner.
type OwnedError struct {
	// Place is where the checkpoint is, and Owner its owner, as HOST:PID since TIME; "" when that is unknown.
	Place, Owner string
}

// Error implements error.
func (e *OwnedError) Error() string {
	return fmt.Sprintf("checkpoint %s is owned by %s", e.Place, orAnother(e.Owner))
}

// LostError is the error of a checkpoint that the caller does not own any more.
type LostError struct {
	// Place is where the checkpoint is, and Owner its new owner, as HOST:PID since TIME; "" if the checkpoint was removed.
	Place, Owner string
}

// Error implements error.
func (e *LostError) Error() string {
	if e.Owner == "" {
		return fmt.Sprintf("checkpoint %s was removed or made unreadable by somebody else", e.Place)
	}
	return fmt.Sprintf("checkpoint %s was taken over by %s", e.Place, e.Owner)
}

func orAnother(owner string) string {
	if owner == "" {
		return "another process"
	}
	return owner
}

// record is the form in which a checkpoint is stored.
type record struct {
	// Owner is HOST:PID, and Since when that process became the owner. ID tells owners of equal names apart.
	Owner string `json:"owner"`
	Since string `json:"since"`
	ID    string `json:"id"`
	// Generation counts the owners, and Serial what this one has tried to write.
	Generation uint64 `json:"generation"`
	Serial     uint64 `json:"serial"`
	// Released reports whether the owner has given the checkpoint back.
	Released bool            `json:"released"`
	State    json.RawMessage `json:"state"`
}

// next returns the record of a new owner after r: this process.
func (r record) next(forget bool) record {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	next := record{
		Owner: fmt.Sprintf("%s:%d", host, os.Getpid()), Since: time.Now().UTC().Format(time.RFC3339), ID: rand.Text(),
		Generation: r.Generation + 1, State: r.State,
	}
	if forget {
		next.State = nil
	}
	return next
}

// by returns the owner for a message.
func (r record) by() string {
	if r.Owner == "" {
		return ""
	}
	return r.Owner + " since " + r.Since
}

// isOf reports whether r was written by the owner who wrote other.
func (r record) isOf(other record) bool { return r.ID == other.ID && r.Generation == other.Generation }

// ownership is what an owner knows of its being the owner. Several goroutines may use it.
type ownership struct {
	place string
	lost  chan struct{}

	mu      sync.Mutex
	failure error // a *LostError, or errReleased
}

func newOwnership(place string) ownership {
	return ownership{place: place, lost: make(chan struct{})}
}

// Name implements Checkpoint.
func (o *ownership) Name() string { return o.place }

// Lost implements Checkpoint.
func (o *ownership) Lost() <-chan struct{} { return o.lost }

// known returns the error of a checkpoint that is known to be lost or released.
func (o *ownership) known() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure
}

// lose records that there is another owner, and returns the error for it.
func (o *ownership) lose(to record) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure == nil {
		o.failure = &LostError{Place: o.place, Owner: to.by()}
		close(o.lost)
	}
	return o.failure
}

// errReleased is the error of a Save after Release.
var errReleased = errors.New("the checkpoint was released")

// state returns the state as Checkpoint does.
func (r record) state() []byte {
	if len(r.State) == 0 || bytes.Equal(r.State, []byte("null")) {
		return nil
	}
	return r.State
}

// encode returns the stored form of r.
func (r record) encode() ([]byte, error) {
	data, err := json.Marshal(r)
	switch {
	case err != nil:
		return nil, err
	case len(data) >= MaxSize:
		return nil, fmt.Errorf("it has %d bytes, maximum is %d", len(data), MaxSize)
	}
	return append(data, '\n'), nil
}

// decode reads the stored form of a checkpoint. Keys that it does not know are those of a later version, whose state
// says so.
func decode(place string, data []byte) (record, error) {
	var r record
	err := json.Unmarshal(data, &r)
	if err == nil && r.Generation == 0 {
		err = errors.New("it has no generation")
	}
	if err != nil {
		return record{}, fmt.Errorf("checkpoint %s cannot be read: %w", place, err)
	}
	return r, nil
}
