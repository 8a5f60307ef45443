package kvstest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// put is a PutMedia call whose body a test writes piece by piece.
type put struct {
	body *io.PipeWriter
	acks *bufio.Scanner
	resp *http.Response
}

// putRequest signs a PutMedia request as the AWS SDKs do when hash is unsignedPayload,
// and as the producer libraries do when it is the hash of nothing.
func putRequest(t *testing.T, url, hash string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/putMedia", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-amzn-stream-name", "cam")
	r.Header.Set("x-amzn-fragment-timecode-type", "RELATIVE")
	r.Header.Set("x-amzn-producer-start-timestamp", formatStamp(epoch))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	r.ContentLength = -1
	credentials := aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hash, "kinesisvideo", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

func openPut(t *testing.T, url string, headers ...string) *put {
	t.Helper()
	reader, writer := io.Pipe()
	resp, err := http.DefaultClient.Do(putRequest(t, url, unsignedPayload, reader, headers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		writer.Close()
		resp.Body.Close()
	})
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("answer is %d %s", resp.StatusCode, body)
	}
	return &put{writer, bufio.NewScanner(resp.Body), resp}
}

func (p *put) write(t *testing.T, b []byte) {
	t.Helper()
	if _, err := p.body.Write(b); err != nil {
		t.Fatal(err)
	}
}

// next returns the next acknowledgement in short: type, timecode in ms, error.
func (p *put) next(t *testing.T) (string, acknowledgement) {
	t.Helper()
	if !p.acks.Scan() {
		if err := p.acks.Err(); err != nil {
			return "broken", acknowledgement{}
		}
		return "end", acknowledgement{}
	}
	var a acknowledgement
	if err := json.Unmarshal(p.acks.Bytes(), &a); err != nil {
		t.Fatalf("%s: %v", p.acks.Bytes(), err)
	}
	text := a.EventType
	if a.FragmentTimecode != nil {
		text += fmt.Sprintf(" %d", *a.FragmentTimecode)
	}
	if a.ErrorID != 0 {
		text += fmt.Sprintf(" %d %s", a.ErrorID, a.ErrorCode)
	}
	return text, a
}

func (p *put) want(t *testing.T, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if got, _ := p.next(t); got != want {
			t.Fatalf("acknowledgement is %q, want %q", got, want)
		}
	}
}

// producerHead is what a producer sends once; producerCluster one fragment of it.
func producerHead(tracks ...uint64) []byte {
	mkv := ebml.AppendElement(nil, ebml.IDEBML, ebml.AppendString(nil, ebml.IDDocType, "matroska"))
	mkv = ebml.AppendHeader(mkv, ebml.IDSegment, ebml.UnknownSize)
	mkv = ebml.AppendElement(mkv, ebml.IDInfo, ebml.AppendUint(nil, ebml.IDTimestampScale, 1_000_000))
	var entries []byte
	for _, n := range tracks {
		entry := ebml.AppendUint(nil, ebml.IDTrackNumber, n)
		entry = ebml.AppendUint(entry, ebml.IDTrackType, 1)
		entry = ebml.AppendString(entry, ebml.IDCodecID, "V_TEST")
		entries = ebml.AppendElement(entries, ebml.IDTrackEntry, entry)
	}
	return ebml.AppendElement(mkv, ebml.IDTracks, entries)
}

func producerCluster(timecode uint64, blocks ...[]byte) []byte {
	return ebml.AppendElement(nil, ebml.IDCluster, plainCluster(timecode, blocks...))
}

func openCluster(timecode uint64, blocks ...[]byte) []byte {
	return append(append(ebml.AppendID(nil, ebml.IDCluster), 0xFF), plainCluster(timecode, blocks...)...)
}

func tagsOf(tags ...string) []byte {
	var list []media.Tag
	for i := 0; i < len(tags); i += 2 {
		list = append(list, media.Tag{Name: tags[i], Value: tags[i+1]})
	}
	return appendTags(nil, list)
}

func key(text string) []byte { return simpleBlock(0, keyFlag, text) }

func TestPutMediaFeedsTheReadersOfAStream(t *testing.T) {
	e := serve(t, Options{IdleEnd: 5 * time.Second})
	if err := e.CreateStream("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	reader := getMedia(fromEarliest).send(t, e.url) // it waits: there is nothing yet
	p := openPut(t, e.url)
	p.write(t, producerHead(1))
	p.write(t, producerCluster(0, key("a"), simpleBlock(40, 0, "b")))
	text, a := p.next(t)
	if text != "BUFFERING 0" || len(a.FragmentNumber) != 47 {
		t.Fatalf("first acknowledgement is %q of fragment %q", text, a.FragmentNumber)
	}
	p.write(t, tagsOf("door", "open"))
	p.write(t, openCluster(2000, key("c")))
	p.want(t, "RECEIVED 0", "PERSISTED 0", "BUFFERING 2000")

	// The first fragment is there, though the producer goes on.
	first := make([]byte, e.streams["cam"].chunks[0].archivedSize())
	if _, err := io.ReadFull(reader.Body, first); err != nil {
		t.Fatal(err)
	}
	f := split(t, first)[0]
	if f.Number != a.FragmentNumber || !f.ProducerTime.Equal(epoch) || time.Since(f.ServerTime) > time.Minute || len(f.Blocks) != 2 ||
		!slices.Equal(f.Tags, []media.Tag{{Name: "door", Value: "open"}}) {
		t.Errorf("fragment is %+v", f)
	}
	p.write(t, tagsOf(endTag, ""))
	p.want(t, "RECEIVED 2000", "PERSISTED 2000")
	p.body.Close()
	p.want(t, "end")

	stored := split(t, payloadOf(t, getMedia(`{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"`+f.Number+`"}`).sendTo(t, e, 2)))
	if len(stored) != 1 || !stored[0].ProducerTime.Equal(epoch.Add(2*time.Second)) || media.CompareNumbers(stored[0].Number, f.Number) <= 0 {
		t.Errorf("after the first fragment come %+v", stored)
	}
}

// sendTo sends a call to a server whose sessions no longer wait: the stream's producer is
// gone.
func (c call) sendTo(t *testing.T, e *emulator, chunks int) *http.Response {
	t.Helper()
	st := e.streams["cam"]
	st.mu.Lock()
	st.fed = false
	n := len(st.chunks)
	st.mu.Unlock()
	if n != chunks {
		t.Fatalf("the stream has %d chunks, want %d", n, chunks)
	}
	return c.send(t, e.url)
}

func TestARealProducerFileGoesThroughPutMediaWhole(t *testing.T) {
	for file, video := range map[string]int{"clusters.mkv": 444, "vogels_480.mkv": 909} {
		t.Run(file, func(t *testing.T) {
			mkv, err := os.ReadFile(sharedRecording(t, file))
			if err != nil {
				t.Fatal(err)
			}
			e := serve(t, Options{})
			if err := e.CreateStream("cam", time.Hour); err != nil {
				t.Fatal(err)
			}
			// As the producer libraries sign it.
			resp, err := http.DefaultClient.Do(putRequest(t, e.url, hashHex(nil), bytes.NewReader(mkv)))
			if err != nil {
				t.Fatal(err)
			}
			acks, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || bytes.Contains(acks, []byte("ERROR")) {
				t.Fatalf("acknowledgements are %s, %v", acks, err)
			}
			clusters := countClusters(mkv)
			if got := bytes.Count(acks, []byte("PERSISTED")); got != clusters {
				t.Errorf("%d fragments are persisted, the file has %d clusters", got, clusters)
			}
			got := map[uint64][][]byte{}
			for _, f := range split(t, payloadOf(t, getMedia(fromEarliest).sendTo(t, e, clusters))) {
				for n, payloads := range trackPayloads(t, f.MKV) {
					got[n] = append(got[n], payloads...)
				}
			}
			want := trackPayloads(t, mkv)
			if len(want[1]) != video {
				t.Errorf("the file has %d frames, the README says %d", len(want[1]), video)
			}
			for n := range want {
				if !slices.EqualFunc(got[n], want[n], bytes.Equal) {
					t.Errorf("track %d came out with %d other payloads than the %d that went in", n, len(got[n]), len(want[n]))
				}
			}
		})
	}
}

func TestPutMediaReportsWhatAProducerDoesWrong(t *testing.T) {
	head := producerHead(1)
	good := producerCluster(0, key("a"))
	many := func(n int) []byte {
		var tags []string
		for i := range n {
			tags = append(tags, fmt.Sprint("tag", i), "v")
		}
		return tagsOf(tags...)
	}
	cases := []struct {
		name string
		body []byte
		want string
	}{
		{"no Matroska", []byte("RIFF????WAVEfmt "), "ERROR 4006 INVALID_MKV_DATA"},
		{"an empty body", nil, "end"},
		{"nothing but an EBML header", ebml.AppendElement(nil, ebml.IDEBML, nil), "ERROR 4006 INVALID_MKV_DATA"},
		{"no segment", slices.Concat(head[:20], good), "ERROR 4006 INVALID_MKV_DATA"},
		{"a cluster before the tracks", slices.Concat(plainFile(1_000_000)[:0], ebml.AppendElement(nil, ebml.IDEBML, ebml.AppendString(nil, ebml.IDDocType, "matroska")), ebml.AppendHeader(nil, ebml.IDSegment, ebml.UnknownSize), good), "ERROR 4006 INVALID_MKV_DATA"},
		{"a second document", slices.Concat(head, good, head), "ERROR 0 4006 INVALID_MKV_DATA"},
		{"a body that ends in a cluster", slices.Concat(head, good[:len(good)-1]), "ERROR 0 4006 INVALID_MKV_DATA"},
		{"a cluster without a timecode", slices.Concat(head, ebml.AppendElement(nil, ebml.IDCluster, key("a"))), "ERROR 4006 INVALID_MKV_DATA"},
		{"time that goes back", slices.Concat(head, producerCluster(10, key("a")), good), "ERROR 10 4004 FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"},
		{"four tracks", producerHead(1, 2, 3, 4), "ERROR 4005 MORE_THAN_ALLOWED_TRACKS_FOUND"},
		{"a track that the header has not", slices.Concat(producerHead(2), good), "ERROR 0 4010 TRACK_NUMBER_MISMATCH"},
		{"a track without a frame", slices.Concat(producerHead(1, 2), good), "ERROR 0 4011 FRAMES_MISSING_FOR_TRACK"},
		{"a fragment of 21 s", slices.Concat(head, producerCluster(0, key("a"), simpleBlock(21_000, 0, "b"))), "ERROR 0 4002 MAX_FRAGMENT_DURATION_REACHED"},
		{"11 tags", slices.Concat(head, good, many(11)), "ERROR 0 4009 FRAGMENT_METADATA_LIMIT_REACHED"},
		{"a tag of AWS", slices.Concat(head, good, tagsOf("AWS_X", "1")), "ERROR 0 4012 INVALID_FRAGMENT_METADATA"},
		{"a fragment of 51 MB", slices.Concat(head, producerCluster(0, key(strings.Repeat("x", 51_000_000)))), "ERROR 0 4001 MAX_FRAGMENT_SIZE_REACHED"},
		{"a header of 3 MB", ebml.AppendElement(nil, ebml.IDEBML, make([]byte, 3<<20)), "ERROR 4006 INVALID_MKV_DATA"},
		{"10 tags are fine", slices.Concat(head, good, many(10)), "PERSISTED 0"},
		{"20 s are fine", slices.Concat(head, producerCluster(0, key("a"), simpleBlock(20_000, 0, "b"))), "PERSISTED 0"},
		{"event tags are fine", slices.Concat(head, good, tagsOf("AWS_KINESISVIDEO_NOTIFICATION", "1")), "PERSISTED 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, Options{})
			if err := e.CreateStream("cam", time.Hour); err != nil {
				t.Fatal(err)
			}
			p := openPut(t, e.url)
			go func() {
				_, _ = p.body.Write(c.body) // the server may end it
				p.body.Close()
			}()
			last := "end"
			for text, _ := p.next(t); text != "end" && last != "broken"; text, _ = p.next(t) {
				last = text
			}
			if last != c.want {
				t.Errorf("last acknowledgement is %q, want %q", last, c.want)
			}
		})
	}
}

func TestInvalidPutMediaRequestsAreRefused(t *testing.T) {
	e := serve(t, Options{})
	if err := e.CreateStream("cam", 0); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name    string
		headers []string
		status  int
		code    string
	}{
		{"no stream", []string{headerStreamName, ""}, 400, "InvalidArgumentException"},
		{"a stream that is not there", []string{headerStreamName, "none"}, 404, "ResourceNotFoundException"},
		{"a name and an ARN", []string{headerStreamARN, e.StreamARN("cam")}, 400, "InvalidArgumentException"},
		{"no kind of timecodes", []string{headerTimecodes, ""}, 400, "InvalidArgumentException"},
		{"another kind of timecodes", []string{headerTimecodes, "RELATED"}, 400, "InvalidArgumentException"},
		{"relative to nothing", []string{headerStart, ""}, 400, "InvalidArgumentException"},
		{"a start in words", []string{headerStart, "today"}, 400, "InvalidArgumentException"},
		{"a start beyond all times", []string{headerStart, "NaN"}, 400, "InvalidArgumentException"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if i == 5 { // 5 calls a second
				e.streams["cam"].limits = newLimiter(Quotas{}.withDefaults())
			}
			resp, err := http.DefaultClient.Do(putRequest(t, e.url, unsignedPayload, strings.NewReader(""), c.headers...))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			wantRefusal(t, resp, c.status, c.code)
		})
	}
	r := putRequest(t, e.url, hashHex([]byte("another body")), strings.NewReader(""))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	wantRefusal(t, resp, 403, "InvalidSignatureException")
}

func TestAStreamHasOneProducerAtATime(t *testing.T) {
	e := serve(t, Options{})
	if err := e.CreateStream("cam", 0); err != nil {
		t.Fatal(err)
	}
	p := openPut(t, e.url)
	resp, err := http.DefaultClient.Do(putRequest(t, e.url, unsignedPayload, strings.NewReader("")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	wantRefusal(t, resp, 400, "ConnectionLimitExceededException")
	<-e.returned
	p.body.Close()
	p.want(t, "end")
	<-e.returned
	openPut(t, e.url)
}

func TestASilentProducerIsToldSoAndAbsoluteTimecodesAreTimes(t *testing.T) {
	e := serve(t, Options{IdleEnd: 20 * time.Millisecond})
	if err := e.CreateStream("cam", 0); err != nil {
		t.Fatal(err)
	}
	p := openPut(t, e.url, headerTimecodes, "ABSOLUTE", headerStart, "")
	p.want(t, "IDLE")
	p.write(t, slices.Concat(producerHead(1), producerCluster(uint64(epoch.UnixMilli()), key("a"))))
	p.body.Close()
	var got []string
	for text, _ := p.next(t); text != "end" && text != "broken"; text, _ = p.next(t) {
		if text != "IDLE" {
			got = append(got, text)
		}
	}
	ms := fmt.Sprint(" ", epoch.UnixMilli())
	if want := []string{"BUFFERING" + ms, "RECEIVED" + ms}; !slices.Equal(got, want) { // without retention nothing is persisted
		t.Errorf("acknowledgements are %q, want %q", got, want)
	}
	f := split(t, payloadOf(t, getMedia(fromEarliest).send(t, e.url)))
	if len(f) != 1 || !f[0].ProducerTime.Equal(epoch) {
		t.Errorf("fragments are %+v", f)
	}
}

func TestWhatAStreamHoldsIsBounded(t *testing.T) {
	block := key(strings.Repeat("x", 10_000))
	e := serve(t, Options{MaxRecording: 50_000, IdleEnd: time.Millisecond})
	if err := e.CreateStream("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	p := openPut(t, e.url)
	go func() {
		defer p.body.Close()
		_, _ = p.body.Write(producerHead(1))
		for i := range 20 {
			_, _ = p.body.Write(producerCluster(uint64(i)*1000, block))
		}
	}()
	for text, _ := p.next(t); text != "end" && text != "broken"; text, _ = p.next(t) {
		continue
	}
	fragments := split(t, payloadOf(t, getMedia(fromEarliest).send(t, e.url)))
	if len(fragments) != 4 || fragments[3].Timecode != 19*time.Second {
		t.Errorf("%d fragments are left, the last at %v; want the 4 newest", len(fragments), fragments[len(fragments)-1].Timecode)
	}
}

func TestAProducerThatWaitsForTheInterimAnswerGetsIt(t *testing.T) {
	e := serve(t, Options{})
	if err := e.CreateStream("cam", time.Hour); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	defer client.CloseIdleConnections()
	body := slices.Concat(producerHead(1), producerCluster(0, key("a")))
	resp, err := client.Do(putRequest(t, e.url, unsignedPayload, bytes.NewReader(body), "Expect", "100-continue"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if acks, err := io.ReadAll(resp.Body); err != nil || bytes.Count(acks, []byte("PERSISTED")) != 1 {
		t.Errorf("acknowledgements are %s, %v", acks, err)
	}
}
