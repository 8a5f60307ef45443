package source

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/source/payload"
)

// brief is the longest outage that is not mentioned.
const brief = 3 * time.Second

// Trouble describes an outage in a few words, such as "out of reach for 12s: connection refused". It returns ""
// when the service answers, or answered until a moment ago.
func Trouble(r Reach, now time.Time) string {
	length := now.Sub(r.Since).Truncate(time.Second)
	if r.Err == nil || length < brief {
		return ""
	}
	return fmt.Sprintf("out of reach for %v: %s", length, cause(r.Err))
}

// cause returns the innermost error, which describes what happened.
func cause(err error) string {
	var tag *payload.ErrorTag
	var coded interface{ ErrorCode() string }
	switch {
	case errors.As(err, &tag) && tag.Code != "":
		return tag.Code
	case errors.As(err, &tag):
		return fmt.Sprintf("error %d", tag.ID)
	case errors.As(err, &coded):
		return coded.ErrorCode()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// Reaching holds the Reach of a source. The zero value is within reach. Several goroutines may call its methods.
type Reaching struct {
	mu  sync.Mutex
	now Reach
}

// Reach returns the current state.
func (r *Reaching) Reach() Reach {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Lost records an error of the service.
func (r *Reaching) Lost(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.Err == nil {
		r.now.Since = time.Now()
	}
	r.now.Err = err
}

// Back records that the service has answered. If it had not before, that is logged.
func (r *Reaching) Back(log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.Err != nil {
		log.Info("the service answers again", "after", time.Since(r.now.Since).Truncate(time.Millisecond).String())
		r.now = Reach{Since: time.Now()}
	}
}
