package kvstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestGetDataEndpointAnswersWithItsOwnAddress(t *testing.T) {
	e := serve(t, Options{})
	_, payload := synthetic(1)
	e.add(t, "cam", payload)
	for _, stream := range []string{`"StreamName":"cam"`, `"StreamARN":"` + e.StreamARN("cam") + `"`} {
		for _, api := range apiNames {
			resp := call{path: "/getDataEndpoint", body: `{` + stream + `,"APIName":"` + api + `"}`}.send(t, e.url)
			var out struct{ DataEndpoint string }
			if err := json.Unmarshal(payloadOf(t, resp), &out); err != nil || out.DataEndpoint != e.url {
				t.Errorf("%s %s: endpoint is %q, %v", stream, api, out.DataEndpoint, err)
			}
		}
	}
}

func TestInvalidRequestsAreRefused(t *testing.T) {
	e := serve(t, Options{})
	_, payload := synthetic(1)
	e.add(t, "cam", payload)
	long := func(n int) string { return strings.Repeat("1", n) }
	media := func(stream, selector string) call {
		return call{path: "/getMedia", body: `{` + stream + `"StartSelector":` + selector + `}`}
	}
	endpoint := func(stream, api string) call {
		return call{path: "/getDataEndpoint", body: `{` + stream + `"APIName":"` + api + `"}`}
	}
	arn := func(arn string) string { return `"StreamARN":"` + arn + `",` }
	const cam = `"StreamName":"cam",`
	cases := []struct {
		name   string
		call   call
		status int
		code   string
	}{
		{"endpoint of no stream", endpoint("", "GET_MEDIA"), 400, "InvalidArgumentException"},
		{"endpoint of a name and an ARN", endpoint(cam+arn(e.StreamARN("cam")), "GET_MEDIA"), 400, "InvalidArgumentException"},
		{"endpoint of a stream that is not there", endpoint(`"StreamName":"other",`, "GET_MEDIA"), 404, "ResourceNotFoundException"},
		{"endpoint of an API that is not there", endpoint(cam, "GET_ALL"), 400, "InvalidArgumentException"},
		{"endpoint without JSON", call{path: "/getDataEndpoint", body: "{"}, 400, "SerializationException"},
		{"media without JSON", call{path: "/getMedia", body: "{"}, 400, "SerializationException"},
		{"body too large", call{path: "/getMedia", body: strings.Repeat(" ", maxRequestBody+1)}, 413, "RequestEntityTooLargeException"},
		{"media of no stream", media("", fromEarliest), 400, "InvalidArgumentException"},
		{"name with a slash", media(`"StreamName":"a/b",`, fromEarliest), 400, "InvalidArgumentException"},
		{"name too long", media(`"StreamName":"`+long(257)+`",`, fromEarliest), 400, "InvalidArgumentException"},
		{"name empty", media(`"StreamName":"",`, fromEarliest), 400, "InvalidArgumentException"},
		{"stream that is not there", media(`"StreamName":"`+long(256)+`",`, fromEarliest), 404, "ResourceNotFoundException"},
		{"ARN of another service", media(arn("arn:aws:kinesis:us-east-1:123456789012:stream/cam/1"), fromEarliest), 400, "InvalidArgumentException"},
		{"ARN too long", media(arn(e.StreamARN("cam")+long(1024)), fromEarliest), 400, "InvalidArgumentException"},
		{"ARN of another creation time", media(arn(e.StreamARN("cam")+"1"), fromEarliest), 404, "ResourceNotFoundException"},
		{"ARN of another account", media(arn("arn:aws:kinesisvideo:us-east-1:210987654321:stream/cam/"+creationTime), fromEarliest), 404, "ResourceNotFoundException"},
		{"no selector", call{path: "/getMedia", body: `{"StreamName":"cam"}`}, 400, "InvalidArgumentException"},
		{"no selector type", media(cam, `{}`), 400, "InvalidArgumentException"},
		{"unknown selector type", media(cam, `{"StartSelectorType":"LATEST"}`), 400, "InvalidArgumentException"},
		{"no fragment number", media(cam, `{"StartSelectorType":"FRAGMENT_NUMBER"}`), 400, "InvalidArgumentException"},
		{"fragment number with letters", media(cam, `{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"1a"}`), 400, "InvalidArgumentException"},
		{"fragment number too long", media(cam, `{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"`+long(129)+`"}`), 400, "InvalidArgumentException"},
		{"no token", media(cam, `{"StartSelectorType":"CONTINUATION_TOKEN"}`), 400, "InvalidArgumentException"},
		{"token with a slash", media(cam, `{"StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"a/b"}`), 400, "InvalidArgumentException"},
		{"token that nobody gave out", media(cam, `{"StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"abc"}`), 400, "InvalidArgumentException"},
		{"no producer timestamp", media(cam, `{"StartSelectorType":"PRODUCER_TIMESTAMP"}`), 400, "InvalidArgumentException"},
		{"no server timestamp", media(cam, `{"StartSelectorType":"SERVER_TIMESTAMP"}`), 400, "InvalidArgumentException"},
		{"timestamp that is no number", media(cam, `{"StartSelectorType":"SERVER_TIMESTAMP","StartTimestamp":"2026-01-01T00:00:00Z"}`), 400, "SerializationException"},
		{"timestamp out of range", media(cam, `{"StartSelectorType":"SERVER_TIMESTAMP","StartTimestamp":1e30}`), 400, "InvalidArgumentException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { wantRefusal(t, c.call.send(t, e.url), c.status, c.code) })
	}
}

func TestAServerOfOneRegionServesItsOwnARNsAlone(t *testing.T) {
	e := serve(t, Options{Region: "eu-west-1"})
	_, payload := synthetic(1)
	e.add(t, "cam", payload)
	own := e.StreamARN("cam")
	if !strings.HasPrefix(own, "arn:aws:kinesisvideo:eu-west-1:") {
		t.Errorf("ARN is %s", own)
	}
	for arn, status := range map[string]int{own: 200, strings.Replace(own, "eu-west-1", "us-east-1", 1): 404} {
		resp := call{path: "/getMedia", region: "eu-west-1", body: `{"StreamARN":"` + arn + `","StartSelector":` + fromEarliest + `}`}.send(t, e.url)
		if resp.StatusCode != status {
			t.Errorf("%s: status is %d, want %d", arn, resp.StatusCode, status)
		}
	}
	if arn := e.StreamARN("other"); arn != "" {
		t.Errorf("a stream that is not there has the ARN %s", arn)
	}
}

func TestEachSelectorStartsAtItsChunk(t *testing.T) {
	const n = 5
	chunks, payload := synthetic(n)
	e := serve(t, Options{})
	e.add(t, "cam", payload)
	number := func(i int) string { return fmt.Sprintf("9134385233318143239268206260774392014626489%04d", i+1) }
	at := func(kind string, t time.Time) string {
		return fmt.Sprintf(`{"StartSelectorType":"%s","StartTimestamp":%d.%03d}`, kind, t.Unix(), t.Nanosecond()/1e6)
	}
	producer := func(d time.Duration) string { return at("PRODUCER_TIMESTAMP", epoch.Add(d)) }
	server := func(d time.Duration) string { return at("SERVER_TIMESTAMP", epoch.Add(time.Hour+d)) }
	after := func(s string) string {
		return `{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"` + s + `"}`
	}
	token := func(s string) string {
		return `{"StartSelectorType":"CONTINUATION_TOKEN","ContinuationToken":"` + s + `"}`
	}
	cases := []struct {
		name, selector string
		first          int
	}{
		{"NOW is the newest chunk", `{"StartSelectorType":"NOW"}`, n - 1},
		{"EARLIEST is the oldest chunk", fromEarliest, 0},
		{"FRAGMENT_NUMBER is exclusive", after(number(1)), 2},
		{"FRAGMENT_NUMBER of the last chunk has nothing after it", after(number(n - 1)), n},
		{"FRAGMENT_NUMBER compares numbers, not strings", after("9"), 0},
		{"FRAGMENT_NUMBER beyond the last has nothing after it", after("1" + number(0)), n},
		{"FRAGMENT_NUMBER with leading zeros is the same number", after("000" + number(0)), 1},
		{"CONTINUATION_TOKEN goes on with the next chunk", token(number(2)), 3},
		{"CONTINUATION_TOKEN of no chunk is a number", token("5"), 0},
		{"PRODUCER_TIMESTAMP at a chunk's start is that chunk", producer(2 * time.Second), 2},
		{"PRODUCER_TIMESTAMP inside a chunk is that chunk", producer(2*time.Second + 999*time.Millisecond), 2},
		{"PRODUCER_TIMESTAMP a millisecond earlier is the chunk before", producer(2*time.Second - time.Millisecond), 1},
		{"PRODUCER_TIMESTAMP before all is the first chunk", producer(-time.Hour), 0},
		{"PRODUCER_TIMESTAMP after all has nothing", producer(time.Hour), n},
		{"SERVER_TIMESTAMP at a chunk's start is that chunk", server(20 * time.Millisecond), 2},
		{"SERVER_TIMESTAMP between two starts is the chunk that began last", server(29 * time.Millisecond), 2},
		{"SERVER_TIMESTAMP before all is the first chunk", server(-time.Hour), 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp := getMedia(c.selector).send(t, e.url)
			if want := bytes.Join(chunks[c.first:], nil); !bytes.Equal(payloadOf(t, resp), want) {
				t.Errorf("the payload does not begin at chunk %d", c.first)
			}
			if got := resp.Header.Get("Content-Type"); got != "video/webm" {
				t.Errorf("content type is %s", got)
			}
			if len(resp.TransferEncoding) != 1 || resp.TransferEncoding[0] != "chunked" {
				t.Errorf("transfer encoding is %v", resp.TransferEncoding)
			}
		})
	}
}

func TestATimeInAGapStartsAtTheNextChunk(t *testing.T) {
	chunks, _ := synthetic(5)
	e := serve(t, Options{})
	e.add(t, "cam", bytes.Join([][]byte{chunks[0], chunks[1], chunks[4]}, nil))
	selector := fmt.Sprintf(`{"StartSelectorType":"PRODUCER_TIMESTAMP","StartTimestamp":%d.5}`, epoch.Unix()+2)
	if got := payloadOf(t, getMedia(selector).send(t, e.url)); !bytes.Equal(got, chunks[4]) {
		t.Errorf("got %d bytes, want the chunk after the gap", len(got))
	}
}

func TestAFourthConnectionIsRefused(t *testing.T) {
	e := serve(t, Options{Pace: PaceRealtime, IdleEnd: time.Hour})
	_, payload := synthetic(1)
	e.add(t, "cam", payload)
	e.add(t, "other", payload)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range maxSessions {
		resp, err := http.DefaultClient.Do(getMedia(fromEarliest).request(t, e.url).WithContext(ctx))
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		defer resp.Body.Close()
	}
	wantRefusal(t, getMedia(fromEarliest).send(t, e.url), 400, "ConnectionLimitExceededException")
	<-e.returned
	other := call{path: "/getMedia", body: strings.Replace(getMedia(fromEarliest).body, "cam", "other", 1)}
	if resp := other.send(t, e.url); resp.StatusCode != 200 {
		t.Errorf("another stream is refused with %d", resp.StatusCode)
	}
	cancel() // the three connections go, and with them their places
	for range maxSessions {
		<-e.returned
	}
	if resp := getMedia(fromEarliest).send(t, e.url); resp.StatusCode != 200 {
		t.Errorf("after the others are gone the answer is %d", resp.StatusCode)
	}
}

func TestACancelledClientEndsTheHandler(t *testing.T) {
	for name, read := range map[string]int{"before the first byte": 0, "in the middle of a chunk": 10} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, Options{Pace: PaceRealtime, IdleEnd: time.Hour})
			_, payload := synthetic(2)
			e.add(t, "cam", payload)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			resp, err := http.DefaultClient.Do(getMedia(fromEarliest).request(t, e.url).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, read)); err != nil {
				t.Fatal(err)
			}
			cancel()
			<-e.returned
			if n := e.Active(); n != 0 {
				t.Errorf("%d handlers are left", n)
			}
		})
	}
}

func TestTheScheduleFollowsTheProducerClock(t *testing.T) {
	at := func(ms int64) *chunk {
		return &chunk{producer: epoch.Add(time.Duration(ms) * time.Millisecond), length: 2 * time.Second}
	}
	cases := []struct {
		name   string
		chunks []*chunk
		want   []int64
	}{
		{"no gap", []*chunk{at(0), at(2000), at(4000)}, []int64{0, 2000, 4000}},
		{"a pause is kept", []*chunk{at(0), at(7000), at(9000)}, []int64{0, 7000, 9000}},
		{"a clock that goes back is a new producer", []*chunk{at(10014), at(0), at(1001)}, []int64{0, 2000, 3001}},
		{"a pause of minutes is not waited for", []*chunk{at(0), at(786000), at(788000)}, []int64{0, 2000, 4000}},
		{"a chunk without a clock follows on", []*chunk{at(0), {length: 3 * time.Second}, at(4000)}, []int64{0, 2000, 5000}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			schedule(c.chunks, epoch, 0, nil)
			for i, want := range c.want {
				if got := c.chunks[i].at.Sub(epoch).Milliseconds(); got != want {
					t.Errorf("chunk %d comes after %d ms, want %d", i, got, want)
				}
			}
		})
	}
}
