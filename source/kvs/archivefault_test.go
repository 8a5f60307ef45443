package kvs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// mediaOp is the operation that most faults here are for.
const mediaOp = "GetMediaForFragmentList"

// checkPoints sees that no second had more than 500 fragments asked for, nor 5 calls for an
// endpoint, however often calls failed.
func checkPoints(t *testing.T, b *bubble) {
	t.Helper()
	for _, c := range []struct {
		op   string
		most int
	}{{"GetDataEndpoint", 5}, {"ListFragments", 10}} {
		calls := b.Calls(c.op, "cam")
		for i := c.most; i < len(calls); i++ {
			if d := calls[i].Sub(calls[i-c.most]); d < time.Second {
				t.Errorf("%d calls of %s within %v", c.most+1, c.op, d)
			}
		}
	}
}

func TestEveryFragmentComesOnceWhateverHappens(t *testing.T) {
	const n = 400
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	size := int64(3000)
	for _, c := range []struct {
		name   string
		faults []kvstest.Fault
	}{
		{"connections that break", []kvstest.Fault{{Kind: kvstest.FaultCut, Op: mediaOp, Bytes: 0, BytesMax: 2 * size, Count: 300, Seed: seed}}},
		{"answers that end early", []kvstest.Fault{{Kind: kvstest.FaultCut, Op: mediaOp, Clean: true, Bytes: 0, BytesMax: 2 * size, Count: 300, Seed: seed}}},
		{"connections that stall", []kvstest.Fault{{Kind: kvstest.FaultStall, Op: mediaOp, Bytes: 0, BytesMax: 20 * size, P: 0.5, Count: 50, Seed: seed}}},
		{"lists that break", []kvstest.Fault{{Kind: kvstest.FaultCut, Op: "ListFragments", Bytes: 0, BytesMax: 5000, Count: 3, Seed: seed}}},
		{"throttles", []kvstest.Fault{{Kind: kvstest.FaultThrottle, P: 0.5, Seed: seed}}},
		{"a long throttle", []kvstest.Fault{{Kind: kvstest.FaultThrottle, Op: mediaOp, Count: 30}}},
		{"servers that fail", []kvstest.Fault{{Kind: kvstest.FaultHTTP, Status: 503, P: 0.4, Seed: seed}}},
		{"endpoints that move", []kvstest.Fault{{Kind: kvstest.FaultMove, Op: mediaOp, Every: 3, Count: 10}, {Kind: kvstest.FaultMove, Op: "ListFragments", Nth: 1}}},
		{"an endpoint that is refused", []kvstest.Fault{{Kind: kvstest.FaultEndpoint, Op: mediaOp, Nth: 2}}},
		{"a wrong host", []kvstest.Fault{{Kind: kvstest.FaultXML, Op: mediaOp, Nth: 2}}},
		{"fragments that come late", []kvstest.Fault{{Kind: kvstest.FaultMissing, Op: mediaOp, P: 0.2, Tries: 3, Seed: seed}}},
		{"all at once", []kvstest.Fault{
			{Kind: kvstest.FaultCut, Op: mediaOp, Bytes: 0, BytesMax: 20 * size, P: 0.5, Count: 100, Seed: seed},
			{Kind: kvstest.FaultCut, Op: mediaOp, Clean: true, Bytes: 0, BytesMax: 20 * size, P: 0.3, Count: 100, Seed: seed + 1},
			{Kind: kvstest.FaultStall, Op: mediaOp, Bytes: 0, BytesMax: 20 * size, P: 0.1, Count: 20, Seed: seed + 2},
			{Kind: kvstest.FaultThrottle, P: 0.2, Count: 100, Seed: seed + 3},
			{Kind: kvstest.FaultHTTP, P: 0.2, Count: 100, Seed: seed + 4},
			{Kind: kvstest.FaultMove, Op: mediaOp, P: 0.1, Count: 20, Seed: seed + 5},
			{Kind: kvstest.FaultMissing, Op: mediaOp, P: 0.1, Tries: 2, Seed: seed + 6},
			{Kind: kvstest.FaultSlow, P: 0.1, Delay: time.Second, Rate: 100_000, Seed: seed + 7},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(n, ago(n))
				b := newBubble(t, kvstest.Options{Quotas: kvstest.ServiceQuotas()}, s.recording, c.faults...)
				a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}, BatchSize: 20})
				before := time.Now()
				got, told := drain(t, a)
				if d := time.Since(before); d > 20*time.Minute { // by itself an endpoint is renewed after 45 min
					t.Errorf("it took %v", d)
				}
				if !slices.Equal(told, row(0, n-1)) {
					t.Errorf("got %v", told)
				}
				checkArchived(t, got, s, 0, n-1)
				checkPoints(t, b)
				if a.room.used != 0 {
					t.Errorf("%d bytes are left in flight", a.room.used)
				}
				if len(b.Fired()) == 0 {
					t.Error("no fault has fired")
				}
				t.Logf("%d calls, faults %v", len(b.Calls(mediaOp, "cam")), b.Fired())
			})
		})
	}
}

func TestQuotasAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(3000, ago(3000))
		b := newBubble(t, kvstest.Options{Quotas: kvstest.ServiceQuotas()}, s.recording)
		log, lines := newLines()
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}, BatchSize: 100})
		a.log = log
		before := time.Now()
		got, _ := drain(t, a)
		checkArchived(t, got, s, 0, 2999)
		if lines.has("WARN") {
			t.Errorf("the emulator has refused something: %v", lines.String())
		}
		if d := time.Since(before); d > 3000*time.Second/mediaRate+2*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestAFragmentThatTheArchiveDoesNotHaveIsANamedGap(t *testing.T) {
	for _, c := range []struct {
		name    string
		missing []int
	}{
		{"in the middle", []int{17}},
		{"at both ends", []int{0, 49}},
		{"several in a row", []int{20, 21, 22, 23}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(50, ago(50))
				var faults []kvstest.Fault
				want := row(0, 49)
				for _, i := range c.missing {
					faults = append(faults, kvstest.Fault{Kind: kvstest.FaultMissing, Op: mediaOp, Fragment: number(i), Label: fmt.Sprint(i)})
					want[i] = "GAP " + want[i]
				}
				b := newBubble(t, kvstest.Options{}, s.recording, faults...)
				before := time.Now()
				a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}})
				if _, told := drain(t, a); !slices.Equal(told, want) {
					t.Errorf("got %v", told)
				}
				if d := time.Since(before); d < 8*time.Second || d > 15*time.Second {
					t.Errorf("the archive was given %v", d)
				}
				for label, n := range b.Fired() {
					if n != maxAbsent {
						t.Errorf("fragment %s was asked for %d times", label, n)
					}
				}
				if n := len(b.Calls(mediaOp, "cam")); n > 1+maxAbsent*len(c.missing) {
					t.Errorf("%d calls", n)
				}
				if a.room.used != 0 {
					t.Errorf("%d bytes are left in flight", a.room.used)
				}
			})
		})
	}
}

func TestARefusedListIsSplitUntilAllIsReadThatIsThere(t *testing.T) {
	for _, code := range []string{"ResourceNotFoundException", "InvalidArgumentException"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(120, ago(120))
				want := row(0, 119)
				var faults []kvstest.Fault
				for _, n := range []int{0, 17, 18, 77, 119} {
					want[n] = fmt.Sprint("GAP ", n)
					faults = append(faults, kvstest.Fault{Kind: kvstest.FaultMissing, Fragment: number(n), Code: code})
				}
				b := newBubble(t, kvstest.Options{}, s.recording, faults...)
				a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}})
				if _, told := drain(t, a); !slices.Equal(told, want) {
					t.Errorf("got %v", told)
				}
				checkPoints(t, b)
				if n := len(b.Calls(mediaOp, "cam")); n > 150 {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}

func TestAListThatIsRefusedForEverIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(maxRefused, ago(maxRefused))
		b := newBubble(t, kvstest.Options{}, s.recording, kvstest.Fault{Kind: kvstest.FaultHTTP, Op: mediaOp, Status: 404, Code: "ResourceNotFoundException"})
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}})
		for range maxRefused {
			if _, err := a.Next(t.Context()); err != nil && !errors.As(err, new(*media.GapError)) {
				if !strings.Contains(err.Error(), "ResourceNotFoundException") {
					t.Errorf("got %v", err)
				}
				return
			}
		}
		t.Error("every fragment is a gap")
	})
}

// tokenless refuses page tokens, the first ones or all.
type tokenless struct {
	next    http.Handler
	times   int
	refused atomic.Int64
}

func (h *tokenless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && bytes.Contains(body, []byte(`"NextToken"`)) && (h.times == 0 || int(h.refused.Load()) < h.times) {
		h.refused.Add(1)
		w.Header().Set("X-Amzn-Errortype", "InvalidArgumentException")
		http.Error(w, `{"Message": "NextToken is not valid"}`, http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	h.next.ServeHTTP(w, r)
}

func TestARefusedPageIsListedAnotherWay(t *testing.T) {
	const n = 3000
	for name, times := range map[string]int{"once": 1, "always": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Four pages of one hour.
				s := store(n, time.Now().Add(-3*time.Hour).Truncate(time.Hour).Add(time.Minute))
				e := kvstest.NewServer(kvstest.Options{})
				if err := e.AddRecording("cam", bytes.NewReader(s.recording)); err != nil {
					t.Fatal(err)
				}
				h := &tokenless{next: e.Handler(), times: times}
				b := &bubble{e, serveMemory(t, h)}
				a := b.archive(t, archiveConfig{Range: extent{Start: s.begin, End: s.begin.Add(n * time.Second)}})
				i := 0
				for f, err := range a.listed(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					if f.Number != number(i) {
						t.Fatalf("fragment %d is %s", i, place(f.Number))
					}
					i++
				}
				if i != n || h.refused.Load() == 0 {
					t.Errorf("%d fragments, %d tokens refused", i, h.refused.Load())
				}
			})
		})
	}
}

func TestAnArchiveThatDoesNotAnswerIsNotAtItsEnd(t *testing.T) {
	for name, fault := range map[string]kvstest.Fault{
		"throttles":         {Kind: kvstest.FaultThrottle, Op: mediaOp},
		"a server failing":  {Kind: kvstest.FaultHTTP, Op: mediaOp, Status: 503},
		"lists that fail":   {Kind: kvstest.FaultHTTP, Op: "ListFragments", Status: 503},
		"connections stall": {Kind: kvstest.FaultStall, Op: mediaOp, Bytes: 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(20, ago(20))
				b := newBubble(t, kvstest.Options{}, s.recording, fault)
				src := source.WithEnd(b.archive(t, archiveConfig{Range: extent{Start: s.begin}}), source.End{IdleTimeout: 20 * time.Second}, media.ClockProducer)
				_, err := src.Next(t.Context())
				if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "does not answer") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestFragmentsThatComeLateAreNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(3, ago(3))
		b := newBubble(t, kvstest.Options{}, s.recording, kvstest.Fault{Kind: kvstest.FaultMissing, Op: mediaOp, Fragment: number(1)})
		src := source.WithEnd(b.archive(t, archiveConfig{Range: extent{Start: s.begin}}), source.End{IdleTimeout: time.Second}, media.ClockProducer)
		if _, told := drain(t, src); !slices.Equal(told, []string{"0", "GAP 1", "2"}) {
			t.Errorf("got %v", told)
		}
	})
}

func TestTheReasonOfAGapSaysWhatKVSSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(3, ago(3))
		b := newBubble(t, kvstest.Options{}, s.recording, kvstest.Fault{Kind: kvstest.FaultMissing, Op: mediaOp, Fragment: number(1)})
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}})
		if _, err := a.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := a.Next(t.Context())
		var gap *media.GapError
		if !errors.As(err, &gap) || gap.Gap.FragmentNumber != number(1) {
			t.Fatalf("got %v", err)
		}
		want := "the archive does not have it, after 5 tries: stream reports error 3000 FRAGMENT_NOT_FOUND for fragment " + number(1)
		if gap.Gap.Detail != want {
			t.Errorf("got  %s\nwant %s", gap.Gap.Detail, want)
		}
	})
}

func TestAFragmentAboveTheCapIsAGapAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(20, ago(20))
		big := slices.MaxFunc(row(0, 19), func(a, b string) int { return len(s.archived[index(a)]) - len(s.archived[index(b)]) })
		limit := source.Size(len(s.archived[index(big)]) - 1)
		b := newBubble(t, kvstest.Options{}, s.recording)
		want := row(0, 19)
		want[index(big)] = "GAP " + big
		_, told := drain(t, b.archive(t, archiveConfig{Range: extent{Start: s.begin}, MaxFragmentSize: limit}))
		if !slices.Equal(told, want) {
			t.Errorf("got %v, want %v", told, want)
		}
	})
}

func TestARefusalEndsTheReadingAndSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault kvstest.Fault
		want  []string
	}{
		{
			"no permission to list",
			kvstest.Fault{Kind: kvstest.FaultHTTP, Op: "ListFragments", Status: 401, Code: "NotAuthorizedException"},
			[]string{"stream cam", "ListFragments", "NotAuthorizedException", "HTTP 401", "request id", "needs kinesisvideo:ListFragments"},
		},
		{
			"no permission to read",
			kvstest.Fault{Kind: kvstest.FaultHTTP, Op: mediaOp, Status: 401, Code: "NotAuthorizedException"},
			[]string{"stream cam", mediaOp, "NotAuthorizedException", "kinesisvideo:GetMediaForFragmentList"},
		},
		{
			"no such stream",
			kvstest.Fault{Kind: kvstest.FaultHTTP, Op: "GetDataEndpoint", Status: 404, Code: "ResourceNotFoundException"},
			[]string{"stream cam", "GetDataEndpoint", "ResourceNotFoundException", "check the stream's name"},
		},
		{
			"a wrong host for ever",
			kvstest.Fault{Kind: kvstest.FaultXML, Op: "ListFragments"},
			[]string{"stream cam", "ListFragments", source.CodeWrongHost, "check endpoint_url"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(20, ago(20))
				b := newBubble(t, kvstest.Options{}, s.recording, c.fault)
				a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}})
				_, err := a.Next(t.Context())
				var refused *Error
				if !errors.As(err, &refused) || refused.RequestID == "" {
					t.Fatalf("got %v", err)
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not say %q", err, want)
					}
				}
				if _, again := a.Next(t.Context()); again == nil || again.Error() != err.Error() {
					t.Errorf("after that comes %v", again)
				}
				checkPoints(t, b)
			})
		})
	}
}

func TestAStreamWithoutRetentionIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(5, ago(5))
		b := newBubble(t, kvstest.Options{}, s.recording)
		if err := b.SetRetention("cam", 0); err != nil {
			t.Fatal(err)
		}
		_, err := b.archive(t, archiveConfig{}).Next(t.Context())
		if err == nil || !strings.Contains(err.Error(), "the stream keeps no data") || !strings.Contains(err.Error(), source.CodeNoRetention) {
			t.Errorf("got %v", err)
		}
		if n := len(b.Calls("ListFragments", "cam")); n != 1 {
			t.Errorf("%d calls of ListFragments", n)
		}
	})
}

func TestWhatCameBeforeARefusalIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(100, ago(100))
		b := newBubble(t, kvstest.Options{}, s.recording)
		a := b.archive(t, archiveConfig{Range: extent{Start: s.begin}, BatchSize: 10, Connections: 1, MaxInFlight: 64 << 10})
		for i := range 100 {
			f, err := a.Next(t.Context())
			if i == 10 {
				if err := b.SetFaults([]kvstest.Fault{{Kind: kvstest.FaultHTTP, Op: mediaOp, Status: 400, Code: "MissingAuthenticationTokenException"}}); err != nil {
					t.Fatal(err)
				}
			}
			if err == nil {
				checkArchived(t, []*media.Fragment{f}, s, i, i)
				continue
			}
			if i <= 10 || !strings.Contains(err.Error(), "MissingAuthenticationTokenException") {
				t.Errorf("fragment %d: %v", i, err)
			}
			return
		}
		t.Error("nothing was refused")
	})
}

func TestAServiceThatIsOutOfReachFromTheStartIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, kvstest.Options{}, store(1, ago(1)).recording)
		a, err := openArchive(b.net.aws(), archiveConfig{Stream: "cam", EndpointURL: "http://nowhere.test"}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("got %v", err)
		}
	})
}

func TestExpiredCredentialsAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(200, ago(200))
		b := newBubble(t, kvstest.Options{}, s.recording, kvstest.Fault{Kind: kvstest.FaultToken, Op: mediaOp, Every: 4, Code: "ExpiredTokenException"})
		cfg := b.net.aws()
		cfg.Credentials = aws.NewCredentialsCache(&rotating{})
		a, err := openArchive(cfg, archiveConfig{Stream: "cam", EndpointURL: memoryURL, Range: extent{Start: s.begin}, BatchSize: 10, Connections: 1}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		got, _ := drain(t, a)
		checkArchived(t, got, s, 0, 199)
		if len(b.Fired()) == 0 {
			t.Error("no credentials have expired")
		}
	})
}

func TestAWrongClockOfThisMachineIsPutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = 2 * time.Hour
		begin := time.Now().Add(slow - time.Minute - 10*time.Second) // newer than this machine's now
		s := store(10, begin)
		b := newBubble(t, kvstest.Options{Now: func() time.Time { return time.Now().Add(slow) }}, s.recording)
		got, _ := drain(t, b.archive(t, archiveConfig{Range: extent{Start: begin}}))
		checkArchived(t, got, s, 0, 9)
	})
}

func TestFIPSAndDualStackAreNotForTheDataEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(10, ago(10))
		b := newBubble(t, kvstest.Options{}, s.recording)
		cfg := b.net.aws()
		cfg.ConfigSources = []any{variants{}}
		a, err := openArchive(cfg, archiveConfig{Stream: "cam", EndpointURL: memoryURL, Range: extent{Start: s.begin}}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		got, _ := drain(t, a)
		checkArchived(t, got, s, 0, 9)
	})
}

// shuffled answers GetMediaForFragmentList in another order than the one that was asked for,
// with one fragment twice and one that nobody has asked for.
type shuffled struct {
	next  http.Handler
	store *stored
}

func (h *shuffled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/getMediaForFragmentList" {
		h.next.ServeHTTP(w, r)
		return
	}
	numbers := fragmentsOf(r)
	rand.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
	for _, n := range append(numbers, numbers[0], number(0)) {
		_, _ = w.Write(h.store.archived[index(place(n))])
	}
}

func TestAnswersInAnotherOrderArePutInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(300, ago(300))
		e := kvstest.NewServer(kvstest.Options{})
		if err := e.AddRecording("cam", strings.NewReader(string(s.recording))); err != nil {
			t.Fatal(err)
		}
		b := &bubble{e, serveMemory(t, &shuffled{e.Handler(), s})}
		got, _ := drain(t, b.archive(t, archiveConfig{Range: extent{Start: s.begin.Add(time.Second)}, BatchSize: 30}))
		checkArchived(t, got, s, 1, 299)
	})
}

func BenchmarkArchive(b *testing.B) {
	const n = 1000
	s := store(n, ago(n))
	var elapsed time.Duration
	for b.Loop() {
		e := kvstest.NewServer(kvstest.Options{Quotas: kvstest.ServiceQuotas(), Link: kvstest.Link{BytesPerSecond: 25e6, Latency: 20 * time.Millisecond}})
		if err := e.AddRecording("cam", strings.NewReader(string(s.recording))); err != nil {
			b.Fatal(err)
		}
		elapsed += benchmarkArchive(b, e, s)
	}
	rate := float64(n*b.N) / elapsed.Seconds()
	b.ReportMetric(rate, "fragments/s")
	b.ReportMetric(rate/5, "x_GetMedia") // which gives 5 a second (Developer Guide, Quotas)
}
