package kvstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	archive "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"
	"github.com/aws/smithy-go"

	"github.com/kvsframes/kvsframes/source/payload"
)

// copyingClient sends a copy of each request's body. The SDK closes its own as soon as an
// answer begins. If net/http has not yet looked whether the body ends where it should, it
// then gets an error from it and closes the connection under the answer.
type copyingClient struct{}

func (copyingClient) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultClient.Do(r)
}

// awsConfig is a configuration whose client tries once.
func awsConfig(url string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(url), HTTPClient: copyingClient{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func archiveClient(url string) *archive.Client { return archive.NewFromConfig(awsConfig(url)) }

// wantCode checks that an SDK read a refusal as the modelled error of that code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refusal smithy.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode() != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}

// listAll reads all pages of a range on the producer's clock.
func listAll(t *testing.T, c *archive.Client, stream string, page int64, from, to time.Time) (all []types.Fragment, pages int) {
	t.Helper()
	in := &archive.ListFragmentsInput{
		StreamName: &stream, MaxResults: &page,
		FragmentSelector: &types.FragmentSelector{
			FragmentSelectorType: types.FragmentSelectorTypeProducerTimestamp,
			TimestampRange:       &types.TimestampRange{StartTimestamp: &from, EndTimestamp: &to},
		},
	}
	for {
		out, err := c.ListFragments(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		all, pages = append(all, out.Fragments...), pages+1
		if out.NextToken == nil {
			return all, pages
		}
		in = &archive.ListFragmentsInput{StreamName: &stream, MaxResults: &page, NextToken: out.NextToken}
	}
}

func numbersOf(fragments []types.Fragment) []string {
	var numbers []string
	for _, f := range fragments {
		numbers = append(numbers, aws.ToString(f.FragmentNumber))
	}
	return numbers
}

func syntheticNumber(i int) string {
	return fmt.Sprintf("9134385233318143239268206260774392014626489%04d", i+1)
}

func TestListFragmentsPagesThroughARangeInNoOrder(t *testing.T) {
	const n = 50
	_, saved := synthetic(n)
	e := serve(t, Options{})
	e.add(t, "cam", saved)
	c := archiveClient(e.url)

	fragments, pages := listAll(t, c, "cam", 7, epoch.Add(10*time.Second), epoch.Add(40*time.Second))
	if len(fragments) != 31 || pages != 5 {
		t.Errorf("%d fragments on %d pages, want 31 on 5: a start on either border is inside", len(fragments), pages)
	}
	numbers := numbersOf(fragments)
	if slices.IsSorted(numbers) {
		t.Error("the fragments are in order, which nobody may rely on")
	}
	if slices.IsSorted(numbers[:7]) || slices.Max(numbers[:7]) < slices.Min(numbers[7:14]) {
		t.Errorf("the order is lost within pages alone: %v", numbers[:14])
	}
	if again, _ := listAll(t, c, "cam", 31, epoch.Add(10*time.Second), epoch.Add(40*time.Second)); !slices.Equal(numbersOf(again), numbers) {
		t.Error("a second listing has another order")
	}
	slices.SortFunc(fragments, func(a, b types.Fragment) int { return strings.Compare(*a.FragmentNumber, *b.FragmentNumber) })
	for i, f := range fragments {
		at := i + 10
		if *f.FragmentNumber != syntheticNumber(at) || !f.ProducerTimestamp.Equal(epoch.Add(time.Duration(at)*time.Second)) ||
			!f.ServerTimestamp.Equal(epoch.Add(time.Hour+time.Duration(at)*10*time.Millisecond)) || f.FragmentLengthInMilliseconds != 1000 {
			t.Errorf("fragment %d is %s at %v, %v, %d ms", at, *f.FragmentNumber, f.ProducerTimestamp, f.ServerTimestamp, f.FragmentLengthInMilliseconds)
		}
		if size := int64(e.streams["cam"].chunks[at].archivedSize()); f.FragmentSizeInBytes != size {
			t.Errorf("fragment %d has %d bytes, want %d", at, f.FragmentSizeInBytes, size)
		}
	}
	if none, pages := listAll(t, c, "cam", 100, epoch.Add(-2*time.Hour), epoch.Add(-time.Hour)); len(none) != 0 || pages != 1 {
		t.Errorf("an empty range has %d fragments on %d pages", len(none), pages)
	}
	if half, _ := listAll(t, c, "cam", 100, epoch.Add(500*time.Millisecond), epoch.Add(1500*time.Millisecond)); !slices.Equal(numbersOf(half), []string{syntheticNumber(1)}) {
		t.Errorf("a range that begins inside a fragment has %v", numbersOf(half))
	}
}

func TestListFragmentsSelectsByTheServersClock(t *testing.T) {
	_, saved := synthetic(5)
	e := serve(t, Options{})
	e.add(t, "cam", saved)
	from, to := epoch.Add(time.Hour+10*time.Millisecond), epoch.Add(time.Hour+29*time.Millisecond)
	out, err := archiveClient(e.url).ListFragments(t.Context(), &archive.ListFragmentsInput{
		StreamARN: aws.String(e.StreamARN("cam")),
		FragmentSelector: &types.FragmentSelector{
			FragmentSelectorType: types.FragmentSelectorTypeServerTimestamp,
			TimestampRange:       &types.TimestampRange{StartTimestamp: &from, EndTimestamp: &to},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(slices.Values(numbersOf(out.Fragments)))
	if want := []string{syntheticNumber(1), syntheticNumber(2)}; !slices.Equal(got, want) {
		t.Errorf("fragments are %v, want %v", got, want)
	}
}

func fragmentList(numbers ...string) call {
	list, err := json.Marshal(numbers)
	if err != nil {
		panic(err)
	}
	return call{path: "/getMediaForFragmentList", body: `{"StreamName":"cam","Fragments":` + string(list) + `}`}
}

func TestGetMediaForFragmentListSendsWhatIsAskedForInItsOrder(t *testing.T) {
	_, saved := synthetic(5)
	e := serve(t, Options{})
	e.add(t, "cam", saved)
	missing := "1" + syntheticNumber(0)
	out, err := archiveClient(e.url).GetMediaForFragmentList(t.Context(), &archive.GetMediaForFragmentListInput{
		StreamName: aws.String("cam"),
		Fragments:  []string{syntheticNumber(3), missing, "000" + syntheticNumber(1), syntheticNumber(3)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Payload.Close()
	s := payload.NewSplitter(out.Payload, payload.Config{Stream: "cam"})
	var got []string
	for {
		f, err := s.Next()
		var tag *payload.ErrorTag
		switch {
		case errors.Is(err, io.EOF):
			if want := []string{syntheticNumber(3), "3000 FRAGMENT_NOT_FOUND " + missing, syntheticNumber(1), syntheticNumber(3)}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			return
		case errors.As(err, &tag):
			got = append(got, fmt.Sprintf("%d %s %s", tag.ID, tag.Code, tag.FragmentNumber))
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, f.Number)
			if f.ContinuationToken != "" || len(f.Blocks) != 4 {
				t.Errorf("fragment %s has the token %q and %d blocks, want none and 4", f.Number, f.ContinuationToken, len(f.Blocks))
			}
		}
	}
}

func TestTheArchiveHasNoClosingTags(t *testing.T) {
	plain := plainFile(1_000_000, plainCluster(0, simpleBlock(0, keyFlag, "a")))
	_, saved := synthetic(2)
	for name, recording := range map[string][]byte{"a recording": saved, "a plain file": plain} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, Options{})
			e.add(t, "cam", recording)
			c := e.streams["cam"].chunks[0]
			live := payloadOf(t, getMedia(fromEarliest).send(t, e.url))
			stored := payloadOf(t, fragmentList(c.number).send(t, e.url))
			if !bytes.HasPrefix(live, stored) || len(stored) != c.archivedSize() {
				t.Errorf("the stored fragment of %d bytes is not the live one without its end", len(stored))
			}
			for _, tag := range []string{tagToken, tagMillisBehind} {
				if !bytes.Contains(live, []byte(tag)) || bytes.Contains(stored, []byte(tag)) {
					t.Errorf("%s: live %v, stored %v", tag, bytes.Contains(live, []byte(tag)), bytes.Contains(stored, []byte(tag)))
				}
			}
		})
	}
}

func TestARealRecordingIsAnArchive(t *testing.T) {
	e := serve(t, Options{})
	if err := e.AddFile("cam", sharedRecording(t, "output-get-media-non-increasing-timecode.mkv")); err != nil {
		t.Fatal(err)
	}
	fragments, _ := listAll(t, archiveClient(e.url), "cam", 5, time.Unix(0, 0), time.Now())
	if len(fragments) != 11 {
		t.Errorf("%d fragments, want the 11 whole ones", len(fragments))
	}
	numbers := slices.Sorted(slices.Values(numbersOf(fragments)))
	blocks := 0
	for i, f := range split(t, payloadOf(t, fragmentList(numbers...).send(t, e.url))) {
		if f.Number != numbers[i] || f.Cut {
			t.Errorf("fragment %d is %s, cut: %v; want %s", i, f.Number, f.Cut, numbers[i])
		}
		blocks += len(f.Blocks)
	}
	if blocks != 330 { // the README counts 358 whole ones, 28 of them in the chunk that is cut
		t.Errorf("%d blocks, want 330", blocks)
	}
}

func TestInvalidArchiveRequestsAreRefused(t *testing.T) {
	e := serve(t, Options{})
	_, saved := synthetic(2)
	e.add(t, "cam", saved)
	e.add(t, "other", AppendChunk(nil, Chunk{FragmentNumber: "123", ServerTime: epoch, ProducerTime: epoch, Blocks: syntheticBlocks(0, time.Millisecond)}))
	if err := e.CreateStream("bare", 0); err != nil {
		t.Fatal(err)
	}
	list := func(rest string) call { return call{path: "/listFragments", body: `{"StreamName":"cam"` + rest + `}`} }
	selector := func(kind, from, to string) string {
		return `,"FragmentSelector":{"FragmentSelectorType":"` + kind + `","TimestampRange":{"StartTimestamp":` + from + `,"EndTimestamp":` + to + `}}`
	}
	good := selector("SERVER_TIMESTAMP", "0", "9999999999")
	bare := func(c call) call { return call{path: c.path, body: strings.Replace(c.body, `"cam"`, `"bare"`, 1)} }
	cases := []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"no selector", list(``), 400, "InvalidArgumentException"},
		{"another selector", list(selector("NOW", "0", "1")), 400, "InvalidArgumentException"},
		{"no range", list(`,"FragmentSelector":{"FragmentSelectorType":"SERVER_TIMESTAMP"}`), 400, "InvalidArgumentException"},
		{"half a range", list(`,"FragmentSelector":{"FragmentSelectorType":"SERVER_TIMESTAMP","TimestampRange":{"StartTimestamp":1}}`), 400, "InvalidArgumentException"},
		{"a range that ends before it begins", list(selector("SERVER_TIMESTAMP", "2", "1")), 400, "InvalidArgumentException"},
		{"a time beyond all times", list(selector("SERVER_TIMESTAMP", "2", "1e40")), 400, "InvalidArgumentException"},
		{"a time in words", list(selector("SERVER_TIMESTAMP", `"now"`, "1")), 400, "SerializationException"},
		{"no results", list(good + `,"MaxResults":0`), 400, "InvalidArgumentException"},
		{"too many results", list(good + `,"MaxResults":1001`), 400, "InvalidArgumentException"},
		{"a token that nobody gave out", list(`,"NextToken":"abc"`), 400, "InvalidArgumentException"},
		{"a token of another stream", list(`,"NextToken":"` + encodeToken(fragmentPage{Stream: "other"}) + `"`), 400, "InvalidArgumentException"},
		{"a token too long", list(`,"NextToken":"` + strings.Repeat("A", 4100) + `"`), 400, "InvalidArgumentException"},
		{"a list of a stream without retention", bare(list(good)), 400, "NoDataRetentionException"},
		{"no fragments", fragmentList(), 400, "InvalidArgumentException"},
		{"too many fragments", fragmentList(make([]string, 1001)...), 400, "InvalidArgumentException"},
		{"a fragment number with letters", fragmentList("12a"), 400, "InvalidArgumentException"},
		{"a fragment of another stream", fragmentList(syntheticNumber(0), "123"), 400, "InvalidArgumentException"},
		{"media of a stream without retention", bare(fragmentList("1")), 400, "NoDataRetentionException"},
		{"media of no stream", call{path: "/getMediaForFragmentList", body: `{"StreamName":"none","Fragments":["1"]}`}, 404, "ResourceNotFoundException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { wantRefusal(t, c.call.send(t, e.url), c.status, c.code) })
	}
}

func TestRetentionTakesTheOldestFragmentsAway(t *testing.T) {
	chunks, saved := synthetic(4)
	clock := &movableClock{at: time.Now()}
	e := serve(t, Options{Now: clock.now})
	e.add(t, "cam", saved)
	for i, c := range e.streams["cam"].chunks { // as if they had come a minute apart
		c.born = clock.now().Add(time.Duration(i-3) * time.Minute)
	}
	if err := e.SetRetention("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	check := func(left int) {
		t.Helper()
		// The clock of signatures moves too; the machine's own would be 5 min off.
		signed := func(c call) call { c.at = clock.now(); return c }
		want := bytes.Join(chunks[4-left:], nil)
		if got := payloadOf(t, signed(getMedia(fromEarliest)).send(t, e.url)); !bytes.Equal(got, want) {
			t.Errorf("EARLIEST has %d bytes, want those of the last %d fragments", len(got), left)
		}
		all := call{path: "/listFragments", body: `{"StreamName":"cam","FragmentSelector":{"FragmentSelectorType":"SERVER_TIMESTAMP","TimestampRange":{"StartTimestamp":0,"EndTimestamp":9999999999}}}`}
		var out struct{ Fragments []fragmentInfo }
		if err := json.Unmarshal(payloadOf(t, signed(all).send(t, e.url)), &out); err != nil || len(out.Fragments) != left {
			t.Errorf("%d fragments are listed, want %d; %v", len(out.Fragments), left, err)
		}
		media := payloadOf(t, signed(fragmentList(syntheticNumber(0))).send(t, e.url))
		if gone := bytes.Contains(media, []byte("FRAGMENT_NOT_FOUND")); gone != (left < 4) {
			t.Errorf("the oldest fragment is gone: %v, with %d left", gone, left)
		}
	}
	check(4)
	clock.move(58*time.Minute + 30*time.Second)
	check(2)
	clock.move(time.Hour)
	check(0)
}

func TestRetentionOfNoStreamCannotBeSet(t *testing.T) {
	s := NewServer(Options{})
	if err := s.CreateStream("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.SetRetention("none", 0) == nil || s.SetRetention("cam", -1) == nil {
		t.Error("no error")
	}
}

func TestQuotasRefuseWhatIsTooMuch(t *testing.T) {
	_, saved := synthetic(3)
	list := call{path: "/listFragments", body: `{"StreamName":"cam","MaxResults":600,"FragmentSelector":{"FragmentSelectorType":"SERVER_TIMESTAMP","TimestampRange":{"StartTimestamp":0,"EndTimestamp":9999999999}}}`}
	cases := []struct {
		name   string
		quotas Quotas
		call   call
		pass   int
	}{
		{"5 GetMedia calls a second by default", Quotas{}, getMedia(fromEarliest), 5},
		{"calls of GetDataEndpoint", Quotas{EndpointCalls: 2}, call{path: "/getDataEndpoint", body: `{"StreamName":"cam","APIName":"GET_MEDIA"}`}, 2},
		{"calls of DescribeStream", Quotas{DescribeCalls: 1}, call{path: "/describeStream", body: `{"StreamName":"cam"}`}, 1},
		{"fragment points", Quotas{FragmentPoints: 3}, fragmentList(syntheticNumber(0), syntheticNumber(1), syntheticNumber(2)), 1},
		{"more fragments than a second's points", Quotas{FragmentPoints: 1}, fragmentList(syntheticNumber(0), syntheticNumber(1)), 1},
		{"metadata points", Quotas{MetadataPoints: 1200}, list, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := NewServer(Options{Quotas: c.quotas})
			if err := s.AddRecording("cam", bytes.NewReader(saved)); err != nil {
				t.Fatal(err)
			}
			url := start(t, s)
			for i := range c.pass {
				if resp := c.call.send(t, url); resp.StatusCode != http.StatusOK {
					t.Fatalf("call %d is refused with %d", i, resp.StatusCode)
				}
			}
			wantRefusal(t, c.call.send(t, url), 400, "ClientLimitExceededException")
			if got := len(s.Calls(opOf(c.call), "cam")); got != c.pass+1 {
				t.Errorf("%d calls are counted, want %d", got, c.pass+1)
			}
		})
	}
}

func opOf(c call) string { return strings.ToUpper(c.path[1:2]) + c.path[2:] }

func TestTheWindowLetsNoMoreThanItsLimitThroughInAnySecond(t *testing.T) {
	var w window
	var let []time.Time
	for i := range 1000 {
		if now := epoch.Add(time.Duration(i) * 17 * time.Millisecond); w.take(5, now) {
			let = append(let, now)
		}
	}
	for i := 5; i < len(let); i++ {
		if d := let[i].Sub(let[i-5]); d < time.Second {
			t.Fatalf("6 events within %v", d)
		}
	}
	if len(let) < 5*16 {
		t.Errorf("%d events in 17 s", len(let))
	}
}

func TestAServiceLikeSessionSendsFiveFragmentsASecond(t *testing.T) {
	_, saved := synthetic(7)
	e := serve(t, Options{Quotas: ServiceQuotas()})
	e.add(t, "cam", saved)
	begin := time.Now()
	if got := payloadOf(t, getMedia(fromEarliest).send(t, e.url)); !bytes.Equal(got, saved) {
		t.Errorf("payload has %d bytes", len(got))
	}
	if took := time.Since(begin); took < time.Second || took > 3*time.Second {
		t.Errorf("7 fragments took %v, want a little more than 1 s", took)
	}
}

func TestTheLinkHasAWidthAndALength(t *testing.T) {
	big := AppendChunk(nil, Chunk{FragmentNumber: "1", ServerTime: epoch, ProducerTime: epoch, Blocks: []Block{{Track: 1, Key: true, Data: make([]byte, 400_000)}}})
	e := serve(t, Options{Link: Link{BytesPerSecond: 2_000_000, Latency: 50 * time.Millisecond}})
	e.add(t, "cam", big)
	for _, c := range []call{getMedia(fromEarliest), fragmentList("1")} {
		begin := time.Now()
		resp := c.send(t, e.url)
		if first := time.Since(begin); first < 50*time.Millisecond {
			t.Errorf("%s: the answer began after %v", c.path, first)
		}
		if got := payloadOf(t, resp); len(got) != len(big) {
			t.Errorf("%s: %d bytes, want %d", c.path, len(got), len(big))
		}
		if took := time.Since(begin); took < 240*time.Millisecond || took > 2*time.Second {
			t.Errorf("%s: 400 kB at 2 MB/s and 50 ms took %v", c.path, took)
		}
	}
}
