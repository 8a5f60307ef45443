package source

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kvsframes/kvsframes/source/payload"
)

// row is what a live stream does about an error that comes each time.
type row struct {
	what string
	// tries is how often it tries again, -1 for ever, and -2 when the fragment
	// that the error names becomes a gap.
	tries   int
	refresh bool
}

const (
	forever = -1
	aGap    = -2
)

// rows has a row for each of the table of verdicts, and for what is not in it.
var rows = []row{
	{"ClientLimitExceededException", forever, false},
	{"ConnectionLimitExceededException", forever, false},
	{"InvalidArgumentException", 0, false},
	{"InvalidEndpointException", forever, true},
	{"NotAuthorizedException", 1, true},
	{"ResourceNotFoundException", 0, false},

	{"AccessDeniedException", 1, true},
	{"ExpiredTokenException", 1, true},
	{"UnrecognizedClientException", 1, true},
	{"InvalidClientTokenId", 1, true},
	{"InvalidClientTokenIdException", 1, true},
	{"InvalidSignatureException", 1, true},
	{"SignatureDoesNotMatch", 1, true},
	{"IncompleteSignatureException", 1, true},
	{"RequestTimeTooSkewed", 1, true},
	{"RequestExpired", 1, true},
	{"RequestInTheFuture", 1, true},
	{"AuthFailure", 1, true},
	{"MissingAuthenticationTokenException", 0, false},
	{CodeWrongHost, 3, true},
	{"ThrottlingException", forever, false},
	{"RequestLimitExceeded", forever, false},
	{"InternalFailure", forever, false},
	{"ServiceUnavailable", forever, false},

	{"3000", forever, false},
	{"3002", forever, false},
	{"4000", aGap, false},
	{"4500", 0, false},
	{"4501", 0, false},
	{"4502", 0, false},
	{"4503", 10, false},
	{"4504", 0, false},
	{"4505", 0, false},
	{"4506", 0, false},
	{"5000", forever, false},

	// Not in the table.
	{"NeverHeardOfException", 3, true},
	{"4999", 0, false},
	{"6000", forever, false},
	{"0", forever, false},
}

func TestEveryRowOfTheTableIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, r := range rows {
		tested[r.what] = true
	}
	for _, what := range slices.Sorted(maps.Keys(verdicts)) {
		if !tested[what] {
			t.Errorf("%s has no test", what)
		}
	}
}

// error returns the row's error as a refusal, or as the answer of a session.
func (r row) answer() any {
	id, err := strconv.Atoi(r.what)
	if err != nil {
		return coded(r.what)
	}
	tag := &payload.ErrorTag{ID: id}
	if judgeTag(tag).Class == ClassGap {
		tag.FragmentNumber = num(1)
		return play(payload.NewGap("cam", num(1), tag, 0))
	}
	return play(fmt.Errorf("read stream cam (request id req-7): %w", tag))
}

func TestWhatALiveStreamDoesAboutEachError(t *testing.T) {
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := live{start: fromEarliest, then: r.answer(), want: "fatal", starts: "EARLIEST"}
				switch r.tries {
				case aGap:
					c.want = "gap 1, time"
				case forever:
					c.want = "time"
				}
				d, _, _ := c.run(t)
				if r.tries >= 0 && len(d.dials) != r.tries+1 || r.tries < 0 && len(d.dials) < 20 {
					t.Errorf("%d calls", len(d.dials))
				}
				if len(d.dials) > 1 && d.dials[1].refresh != r.refresh {
					t.Errorf("a fresh endpoint and fresh credentials: %v", d.dials[1].refresh)
				}
			})
		})
	}
}

func TestOneErrorNowAndThenIsNotCountedAsOneInARow(t *testing.T) {
	var answers []any
	want := ""
	for n := 1; n <= 50; n++ {
		answers = append(answers, coded("NotAuthorizedException"), frags(n, n))
		want += fmt.Sprint(n, ", ")
	}
	for range 50 { // idle sessions in between count as well
		answers = append(answers, coded("NotAuthorizedException"), play(), &codedError{"Odd", 503})
	}
	synctest.Test(t, func(t *testing.T) {
		live{start: fromEarliest, answers: answers, then: coded("NotAuthorizedException"), want: want + "time", starts: "EARLIEST"}.run(t)
	})
}

func TestAServiceThatCannotBeReachedAtFirstIsFatalSoon(t *testing.T) {
	unreachable := errors.New("no such host")
	synctest.Test(t, func(t *testing.T) {
		d, _, _ := live{start: fromNow, then: unreachable, want: "fatal", starts: "NOW"}.run(t)
		if len(d.dials) != maxUnopened+1 || !d.dials[1].refresh {
			t.Errorf("%d calls", len(d.dials))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		live{start: fromNow, answers: []any{play()}, then: unreachable, want: "time", starts: "NOW, at 0s"}.run(t)
	})
	synctest.Test(t, func(t *testing.T) {
		live{start: fromNow, then: &codedError{"Odd", 503}, want: "time", starts: "NOW"}.run(t)
	})
}

func TestAFatalErrorSaysAllThatIsKnown(t *testing.T) {
	for _, c := range []struct {
		answer any
		want   []string
	}{
		{row{what: "4501"}.answer(), []string{"stream cam", "request id req-7", "4501", "enable the stream's KMS key"}},
		{row{what: "4503"}.answer(), []string{"stream cam (request id req-7)", "4503", "11 times in a row", "kms:Decrypt"}},
		{coded("NotAuthorizedException"), []string{"2 times in a row", "NotAuthorizedException"}},
		{play(frag(1), tokenless(2), &payload.ErrorTag{ID: 4500, Code: "DENIED"}), []string{"4500 DENIED", "kms:Decrypt"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			log, _ := newJournal()
			l := NewLive(&script{t: t, then: c.answer}, LiveConfig{Stream: "cam", Start: fromEarliest, Log: log})
			defer l.Close()
			var err error
			count := 0
			for ; err == nil; count++ {
				_, err = l.Next(t.Context())
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if session, ok := c.answer.(scriptedSession); ok && len(session) == 3 && count != 3 {
				t.Errorf("%d answers, want those before the error", count)
			}
		})
	}
}

func TestClassesOfErrorTags(t *testing.T) {
	want := map[int]Class{
		0: ClassRetry, 3000: ClassRetry, 3002: ClassRetry, 4000: ClassGap,
		4500: ClassFatal, 4501: ClassFatal, 4502: ClassFatal, 4503: ClassRetry, 4504: ClassFatal,
		4505: ClassFatal, 4506: ClassFatal, 5000: ClassRetry, 4999: ClassFatal, 6000: ClassRetry,
	}
	for id, class := range want {
		if got := judgeTag(&payload.ErrorTag{ID: id}).Class; got != class {
			t.Errorf("error %d is %s, want %s", id, got, class)
		}
	}
}
