package kvstest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/source/payload"
)

// disturbed is a server with a stream "cam" of n chunks and faults.
func disturbed(t *testing.T, n int, opts Options, texts ...string) (e *emulator, chunks [][]byte, saved []byte) {
	t.Helper()
	chunks, saved = synthetic(n)
	e = serve(t, opts)
	e.add(t, "cam", saved)
	setFaults(t, e, texts...)
	return e, chunks, saved
}

func setFaults(t *testing.T, e *emulator, texts ...string) {
	t.Helper()
	var faults []Fault
	for _, text := range texts {
		f, err := ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		faults = append(faults, f)
	}
	if err := e.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
}

// read reads an answer to whatever its end is.
func read(t *testing.T, c call, url string) ([]byte, error) {
	t.Helper()
	resp := c.send(t, url)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("answer is %d %s", resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"))
	}
	return io.ReadAll(resp.Body)
}

func TestACutEndsTheAnswerAtItsByte(t *testing.T) {
	for _, op := range []string{"GetMedia", "GetMediaForFragmentList"} {
		e, _, saved := disturbed(t, 2, Options{})
		c, whole := getMedia(fromEarliest), saved
		if op != "GetMedia" {
			c = fragmentList(syntheticNumber(0), syntheticNumber(1))
			whole = payloadOf(t, c.send(t, e.url))
		}
		for _, at := range []int{0, 1, 100, len(whole) / 2, len(whole) - 1} {
			cut := Fault{Kind: FaultCut, Op: op, Bytes: int64(at)}
			for _, cut.Clean = range []bool{false, true} {
				if err := e.SetFaults([]Fault{cut}); err != nil {
					t.Fatal(err)
				}
				got, err := read(t, c, e.url)
				if !bytes.Equal(got, whole[:at]) || (err == nil) != cut.Clean {
					t.Errorf("%s: %d bytes came, ended by %v", cut, len(got), err)
				}
				if fired := e.Fired()["cut"]; fired != 1 {
					t.Errorf("%s: fired %d times", cut, fired)
				}
			}
		}
	}
}

func TestACutByTimeEndsAnAnswerThatWaits(t *testing.T) {
	for text, clean := range map[string]bool{"cut:after=30ms": false, "cut:after=30ms,clean": true} {
		e, _, saved := disturbed(t, 2, Options{Pace: PaceRealtime, IdleEnd: time.Hour}, text)
		got, err := read(t, getMedia(fromEarliest), e.url)
		if len(got) == 0 || len(got) == len(saved) || !bytes.HasPrefix(saved, got) || (err == nil) != clean || e.Fired()["cut"] != 1 {
			t.Errorf("%s: %d bytes came, ended by %v; fired %v", text, len(got), err, e.Fired())
		}
	}
}

func TestAStalledAnswerStaysOpen(t *testing.T) {
	e, _, saved := disturbed(t, 2, Options{}, "stall:bytes=100,nth=1", "stall:after=1ns,for=50ms,nth=2,label=short")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp, err := http.DefaultClient.Do(getMedia(fromEarliest).request(t, e.url).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if e.Active() != 1 {
		t.Errorf("%d handlers, want the stalled one", e.Active())
	}
	cancel()
	<-e.returned
	begin := time.Now()
	if got, err := read(t, getMedia(fromEarliest), e.url); err != nil || !bytes.Equal(got, saved) {
		t.Errorf("after the stall came %d bytes, %v", len(got), err)
	}
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("the answer took %v", took)
	}
	if fired := e.Fired(); fired["stall"] != 1 || fired["short"] != 1 {
		t.Errorf("fired %v", fired)
	}
}

func TestCorruptBytesAreInvertedAndNoOthers(t *testing.T) {
	e, _, saved := disturbed(t, 2, Options{}, "corrupt:bytes=10,length=3", "corrupt:bytes=700")
	want := slices.Clone(saved)
	for _, i := range []int{10, 11, 12, 700} {
		want[i] = ^want[i]
	}
	for range 2 { // the chunks in memory are not touched
		if got, err := read(t, getMedia(fromEarliest), e.url); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came, %v; they are not the payload with bytes 10..12 and 700 inverted", len(got), err)
		}
	}
}

func TestASlowAnswerIsSlow(t *testing.T) {
	e, _, saved := disturbed(t, 2, Options{}, "slow:rate=10000,delay=30ms")
	begin := time.Now()
	if got, err := read(t, getMedia(fromEarliest), e.url); err != nil || !bytes.Equal(got, saved) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	least := 30*time.Millisecond + time.Duration(len(saved)-1024)*time.Second/10000
	if took := time.Since(begin); took < least || took > least+2*time.Second {
		t.Errorf("%d bytes took %v, want %v", len(saved), took, least)
	}
}

func TestAnIdleSessionEndsCleanlyAfterItsFragments(t *testing.T) {
	e, chunks, _ := disturbed(t, 5, Options{}, "idle:fragments=2,for=40ms")
	begin := time.Now()
	got, err := read(t, getMedia(fromEarliest), e.url)
	if err != nil || !bytes.Equal(got, bytes.Join(chunks[:2], nil)) || time.Since(begin) < 40*time.Millisecond {
		t.Errorf("%d bytes came in %v, %v", len(got), time.Since(begin), err)
	}
}

func TestAnErrorTagStandsInMidStream(t *testing.T) {
	for _, id := range []int{3002, 4000, 4500, 4501, 4502, 4503, 4504, 4505, 4506, 5000} {
		for _, skip := range []bool{false, true} {
			e, chunks, _ := disturbed(t, 4, Options{})
			if err := e.SetFaults([]Fault{{Kind: FaultTag, ID: id, Fragments: 1, Skip: skip}}); err != nil {
				t.Fatal(err)
			}
			want := slices.Concat(chunks[0], errorChunk(syntheticNumber(1), id, ""))
			if skip {
				want = slices.Concat(want, chunks[2], chunks[3])
			}
			got, err := read(t, getMedia(fromEarliest), e.url)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d, skip %v: %d bytes came, want %d; %v", id, skip, len(got), len(want), err)
			}
			s := payload.NewSplitter(bytes.NewReader(got), payload.Config{})
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
			var tag *payload.ErrorTag
			if _, err := s.Next(); !errors.As(err, &tag) || tag.ID != id || tag.Code != tagCodes[id] || tag.FragmentNumber != syntheticNumber(1) {
				t.Errorf("%d is read as %v", id, err)
			}
		}
	}
}

func TestAFragmentIsMissingUntilItWasAskedForOften(t *testing.T) {
	e, _, _ := disturbed(t, 3, Options{}, "missing:tries=2,fragment="+syntheticNumber(1))
	c := fragmentList(syntheticNumber(0), syntheticNumber(1), syntheticNumber(2))
	for try, want := range []int{1, 1, 0, 0} {
		if got := bytes.Count(payloadOf(t, c.send(t, e.url)), []byte("FRAGMENT_NOT_FOUND")); got != want {
			t.Errorf("request %d: %d fragments are missing, want %d", try, got, want)
		}
	}
	setFaults(t, e, "missing:fragment="+syntheticNumber(1))
	for range 4 {
		if got := bytes.Count(payloadOf(t, c.send(t, e.url)), []byte("FRAGMENT_NOT_FOUND")); got != 1 {
			t.Errorf("%d fragments are missing, want 1 for ever", got)
		}
	}
}

func TestAListIsRefusedForOneOfItsFragments(t *testing.T) {
	e, _, _ := disturbed(t, 3, Options{}, "missing:code=ResourceNotFoundException,fragment="+syntheticNumber(1))
	all, rest := fragmentList(syntheticNumber(0), syntheticNumber(1)), fragmentList(syntheticNumber(0), syntheticNumber(2))
	if resp := all.send(t, e.url); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a list with the fragment: status %d", resp.StatusCode)
	}
	if resp := rest.send(t, e.url); resp.StatusCode != http.StatusOK {
		t.Errorf("a list without it: status %d", resp.StatusCode)
	}
}

func TestFragmentsAreLeftOutOfListsAndSessions(t *testing.T) {
	e, chunks, _ := disturbed(t, 3, Options{}, "missing:op=ListFragments,fragment="+syntheticNumber(1), "missing:op=GetMedia,fragment="+syntheticNumber(0))
	fragments, _ := listAll(t, archiveClient(e.url), "cam", 10, epoch, epoch.Add(time.Hour))
	if got := slices.Sorted(slices.Values(numbersOf(fragments))); !slices.Equal(got, []string{syntheticNumber(0), syntheticNumber(2)}) {
		t.Errorf("listed are %v", got)
	}
	if got, err := read(t, getMedia(fromEarliest), e.url); err != nil || !bytes.Equal(got, bytes.Join(chunks[1:], nil)) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
}

func TestAShareOfTheFragmentsIsMissingTheSameEachTime(t *testing.T) {
	e, _, _ := disturbed(t, 200, Options{}, "missing:op=GetMedia,p=0.25,seed=3")
	first, err := read(t, getMedia(fromEarliest), e.url)
	if err != nil {
		t.Fatal(err)
	}
	again, err := read(t, getMedia(fromEarliest), e.url)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second session has %d bytes, the first %d; %v", len(again), len(first), err)
	}
	if n := len(split(t, first)); n < 120 || n > 180 {
		t.Errorf("%d of 200 fragments are left", n)
	}
}

func TestRefusalsAreCountedByTheirTriggers(t *testing.T) {
	cases := []struct {
		fault  string
		status int
		code   string
		hit    []int // calls of 6, from 1
	}{
		{"throttle:count=3", 400, "ClientLimitExceededException", []int{1, 2, 3}},
		{"throttle:every=2", 400, "ClientLimitExceededException", []int{2, 4, 6}},
		{"connections:nth=5", 400, "ConnectionLimitExceededException", []int{5}},
		{"http:every=2,count=2", 500, "InternalFailure", []int{2, 4}},
		{"http:nth=1,status=503", 503, "ServiceUnavailable", []int{1}},
		{"http:nth=1,status=400,code=Strange", 400, "Strange", []int{1}},
		{"throttle:stream=other", 400, "", nil},
		{"throttle:op=ListFragments", 400, "", nil},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			e, _, _ := disturbed(t, 1, Options{}, c.fault)
			var hit []int
			for i := 1; i <= 6; i++ {
				resp := getMedia(fromEarliest).send(t, e.url)
				if resp.StatusCode != http.StatusOK {
					hit = append(hit, i)
					wantRefusal(t, resp, c.status, c.code)
				}
			}
			kind, _, _ := strings.Cut(c.fault, ":")
			if !slices.Equal(hit, c.hit) || e.Fired()[kind] != len(c.hit) || len(e.Calls("GetMedia", "cam")) != 6 {
				t.Errorf("calls %v are hit, want %v; fired %v", hit, c.hit, e.Fired())
			}
		})
	}
}

func TestChanceIsTheSameForTheSameSeedAndAnotherForEachStream(t *testing.T) {
	hits := func(seed, stream string) string {
		f, err := ParseFault("throttle:p=0.5,seed=" + seed)
		if err != nil {
			t.Fatal(err)
		}
		a := &armed{Fault: f, scopes: map[string]*scope{}}
		var b strings.Builder
		for range 64 {
			if a.hits(stream) {
				b.WriteByte('x')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String()
	}
	one := hits("1", "cam")
	if n := strings.Count(one, "x"); n < 16 || n > 48 {
		t.Errorf("%d of 64 calls are hit", n)
	}
	if one != hits("1", "cam") || one == hits("2", "cam") || one == hits("1", "door") {
		t.Error("the calls that are hit do not come of the seed and the stream")
	}
}

func TestARangeOfBytesIsDrawnAnewForEachCall(t *testing.T) {
	e, _, saved := disturbed(t, 2, Options{}, "cut:bytes=5-800,seed=1")
	lengths := map[int]bool{}
	for range 8 {
		got, err := read(t, getMedia(fromEarliest), e.url)
		if err == nil || len(got) < 5 || len(got) > 800 || !bytes.HasPrefix(saved, got) {
			t.Errorf("%d bytes came, %v", len(got), err)
		}
		lengths[len(got)] = true
	}
	if len(lengths) < 4 {
		t.Errorf("the lengths are %v", lengths)
	}
}

func TestARefusedEndpointServesAgainWhenItWasAskedFor(t *testing.T) {
	e, _, _ := disturbed(t, 1, Options{}, "endpoint:op=GetMedia,nth=2")
	ask := call{path: "/getDataEndpoint", body: `{"StreamName":"cam","APIName":"GET_MEDIA"}`}
	payloadOf(t, getMedia(fromEarliest).send(t, e.url))
	for range 3 {
		wantRefusal(t, getMedia(fromEarliest).send(t, e.url), 400, "InvalidEndpointException")
	}
	payloadOf(t, ask.send(t, e.url))
	payloadOf(t, getMedia(fromEarliest).send(t, e.url))
}

func TestAnEndpointThatMovesServesAtItsNewPathAlone(t *testing.T) {
	e, _, saved := disturbed(t, 1, Options{}, "move:nth=2")
	ask := call{path: "/getDataEndpoint", body: `{"StreamName":"cam","APIName":"GET_MEDIA"}`}
	first := string(payloadOf(t, ask.send(t, e.url)))
	payloadOf(t, getMedia(fromEarliest).send(t, e.url))
	second := string(payloadOf(t, ask.send(t, e.url)))
	if !strings.Contains(first, e.url+`"`) || !strings.Contains(second, e.url+`/endpoint-1"`) {
		t.Fatalf("endpoints are %s and %s", first, second)
	}
	wantRefusal(t, getMedia(fromEarliest).send(t, e.url), 400, "InvalidEndpointException")
	if got := payloadOf(t, getMedia(fromEarliest).send(t, e.url+"/endpoint-1")); !bytes.Equal(got, saved) {
		t.Errorf("the new endpoint has %d bytes", len(got))
	}
	wantRefusal(t, getMedia(fromEarliest).send(t, e.url+"/endpoint-2"), 400, "InvalidEndpointException")
}

func TestAnExpiredTokenIsRefusedUntilThereIsAnother(t *testing.T) {
	for code, status := range map[string]int{"NotAuthorizedException": 401, "ExpiredTokenException": 403} {
		e, _, _ := disturbed(t, 1, Options{}, "token:op=GetMedia,nth=2,code="+code)
		with := func(token string) call { c := getMedia(fromEarliest); c.token = token; return c }
		payloadOf(t, with("old").send(t, e.url))
		for range 3 {
			wantRefusal(t, with("old").send(t, e.url), status, code)
		}
		payloadOf(t, with("new").send(t, e.url))
		wantRefusal(t, with("old").send(t, e.url), status, code)
	}
}

func TestTheXMLOfAWrongHost(t *testing.T) {
	e, _, _ := disturbed(t, 1, Options{}, "xml")
	resp := getMedia(fromEarliest).send(t, e.url)
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 403 || !bytes.HasPrefix(body, []byte("<AccessDeniedException>")) || resp.Header.Get("Content-Type") != "application/xml" {
		t.Errorf("answer is %d %s, %v", resp.StatusCode, body, err)
	}
}

func TestFaultsCanBeTakenBack(t *testing.T) {
	e, _, saved := disturbed(t, 1, Options{}, "endpoint", "throttle:op=ListStreams")
	wantRefusal(t, getMedia(fromEarliest).send(t, e.url), 400, "InvalidEndpointException")
	setFaults(t, e)
	if got := payloadOf(t, getMedia(fromEarliest).send(t, e.url)); !bytes.Equal(got, saved) || len(e.Fired()) != 0 {
		t.Errorf("%d bytes came, fired %v", len(got), e.Fired())
	}
}

func TestACutEndsAProducersSession(t *testing.T) {
	e := serve(t, Options{})
	if err := e.CreateStream("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	setFaults(t, e, "cut:op=PutMedia,after=30ms")
	p := openPut(t, e.url)
	if p.acks.Scan() || p.acks.Err() == nil {
		t.Errorf("the answer ended with %q, %v", p.acks.Text(), p.acks.Err())
	}
	<-e.returned
	if e.Active() != 0 {
		t.Errorf("%d handlers are left", e.Active())
	}
}
