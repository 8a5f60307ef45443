package s3_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

func TestOpenTellsAtOnceWhatIsWrong(t *testing.T) {
	server := s3test.Start(t)
	for _, test := range []struct {
		name   string
		change func(t *testing.T, d *s3.Config)
		want   string
	}{
		{"the bucket is not there", func(_ *testing.T, d *s3.Config) { d.Bucket = "no-such-bucket" }, "open s3://no-such-bucket: NotFound (HTTP 404), request id"},
		{"no region is known", func(t *testing.T, d *s3.Config) {
			t.Setenv("AWS_REGION", "")
			d.Region, d.EndpointURL = "", ""
		}, "no region: set region"},
		{"no credentials are known", func(t *testing.T, _ *s3.Config) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		}, "credentials"},
		{"the bucket is in another region", func(t *testing.T, d *s3.Config) {
			moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amz-Bucket-Region", "eu-west-3")
				w.WriteHeader(http.StatusMovedPermanently)
			}))
			t.Cleanup(moved.Close)
			d.EndpointURL = moved.URL
		}, "the bucket is in another region: eu-west-3"},
		{"nobody listens at the endpoint", func(t *testing.T, d *s3.Config) {
			gone := httptest.NewServer(http.NotFoundHandler())
			gone.Close()
			d.EndpointURL = gone.URL
		}, "connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.Setenv(t)
			d := destination(t, server)
			test.change(t, &d)
			_, err := s3.Open(t.Context(), d)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("open gave %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestARefusedQuestionForTheBucketDoesNotEndTheRun(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	d := destination(t, server)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	store, err := s3.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Put(t.Context(), "cam/1.jpg", []byte("x"), sink.PutOptions{})
	var refused *s3.Error
	if !errors.As(err, &refused) {
		t.Fatalf("put with a wrong secret gave %v, want an s3.Error", err)
	}
	// This server closes the connection without having read the body. Once in some forty times the text of its answer is lost with it,
	// and so the code.
	code := refused.Code == "SignatureDoesNotMatch" || refused.Code == ""
	if refused.Status != http.StatusForbidden || !code || refused.Bucket != d.Bucket || refused.Key != "cam/1.jpg" {
		t.Errorf("the error has %+v, code %q, status %d", refused, refused.Code, refused.Status)
	}
}

func TestAServerThatDoesNotKnowTheQuestionForTheBucketCanBeWrittenTo(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, _ := newProxy(t, server)
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		deaf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			p.ServeHTTP(w, r)
		}))
		t.Cleanup(deaf.Close)
		d := destination(t, server)
		d.EndpointURL = deaf.URL
		store := open(t, d)
		if err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err != nil {
			t.Errorf("status %d: %v", status, err)
		}
		// What is there cannot be told either, and is not taken for the same.
		if same, err := store.Holds(t.Context(), "a.jpg", body(100)); same || err != nil {
			t.Errorf("status %d: holds gave %t, %v", status, same, err)
		}
	}
}

func TestAChecksumIsSentUnlessSomebodyWantsNone(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	for _, test := range []struct {
		checksum s3.Checksum
		variable string
		want     bool
	}{{s3.ChecksumCRC32, "", true}, {s3.ChecksumCRC32, "when_supported", true}, {s3.ChecksumNone, "", false}, {s3.ChecksumCRC32, "when_required", false}} {
		t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", test.variable)
		d := destination(t, server)
		d.EndpointURL, d.Checksum = endpoint, test.checksum
		store := open(t, d)
		p.plan()
		if err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		requests, _ := p.seen()
		sent := false
		for name := range requests[0].Header {
			sent = sent || strings.Contains(strings.ToLower(name), "checksum") || name == "X-Amz-Trailer"
		}
		if sent != test.want {
			t.Errorf("checksum %s, variable %q: the request has %v", test.checksum, test.variable, requests[0].Header)
		}
		// Without a checksum the ETag tells what an object holds.
		for size, want := range map[int]bool{100: true, 110: false} {
			if same, err := store.Holds(t.Context(), "a.jpg", body(size)); err != nil || same != want {
				t.Errorf("checksum %s: holds %d bytes: %t, %v", test.checksum, size, same, err)
			}
		}
	}
}

func TestErrorsNameWhatWasRefused(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL, d.Prefix = endpoint, "in"
	store := open(t, d)
	p.plan(answer(403, "AccessDenied"))
	err := store.Put(t.Context(), "cam/1.jpg", body(100), sink.PutOptions{})
	want := "put s3://" + d.Bucket + "/in/cam/1.jpg: AccessDenied: About AccessDenied. (HTTP 403), request id 4442587FB7D0A2F9"
	if err == nil || err.Error() != want {
		t.Errorf("put gave  %v\nwant %s", err, want)
	}
	if requests, _ := p.seen(); len(requests) != 1 {
		t.Errorf("a refusal was asked for %d times, want once", len(requests))
	}
	if err := store.Put(t.Context(), strings.Repeat("long/", 210)+"x", body(10), sink.PutOptions{}); !errors.Is(err, sink.ErrKey) {
		t.Errorf("put of a key that is too long gave %v, want sink.ErrKey", err)
	}
	if err := store.Put(t.Context(), "cam/1.jpg", body(10), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "cam/1.jpg/2.jpg", body(10), sink.PutOptions{}); !errors.Is(err, sink.ErrKeyConflict) {
		t.Errorf("put below an object gave %v, want sink.ErrKeyConflict", err)
	}
}

func TestRequestsSayWhatTheDestinationAsksFor(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	for _, test := range []struct {
		name   string
		change func(d *s3.Config)
		want   map[string]string // "" = absent
	}{
		{"by default no class and no encryption", func(*s3.Config) {}, map[string]string{
			"X-Amz-Storage-Class": "", "X-Amz-Server-Side-Encryption": "", "If-None-Match": "",
			"Content-Type": "image/jpeg", "X-Amz-Meta-Aws_kinesisvideo_fragment_number": "913",
		}},
		{"another storage class", func(d *s3.Config) { d.StorageClass = "STANDARD_IA" }, map[string]string{"X-Amz-Storage-Class": "STANDARD_IA"}},
		{"encryption by S3", func(d *s3.Config) { d.ServerSideEncryption.Type = "AES256" }, map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}},
		{"encryption by KMS", func(d *s3.Config) {
			d.ServerSideEncryption = s3.Encryption{Type: "aws:kms", KMSKeyID: "alias/video"}
		}, map[string]string{
			"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "alias/video",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := destination(t, server)
			d.EndpointURL = endpoint
			test.change(&d)
			store := open(t, d)
			p.plan()
			err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{
				ContentType: "image/jpeg", Metadata: map[string]string{"aws_kinesisvideo_fragment_number": "913"},
			})
			if err != nil {
				t.Fatal(err)
			}
			requests, _ := p.seen()
			if len(requests) != 1 {
				t.Fatalf("%d requests were sent, want 1", len(requests))
			}
			header := requests[0].Header
			for name, want := range test.want {
				if got := header.Get(name); got != want {
					t.Errorf("header %s is %q, want %q", name, got, want)
				}
			}
			if header.Get("X-Amz-Checksum-Crc32") == "" {
				t.Errorf("the request has no checksum: %v", header)
			}
		})
	}
}

func TestTheServerKeepsTypeMetadataAndChecksum(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	d := destination(t, server)
	store := open(t, d)
	err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{
		ContentType: "image/jpeg", Metadata: map[string]string{"aws_kinesisvideo_fragment_number": "913", "kvsframes_stream": "front%20door"},
	})
	if err != nil {
		t.Fatal(err)
	}
	header, err := server.Head(t.Context(), d.Bucket, "a.jpg")
	if err != nil {
		t.Fatal(err)
	}
	checksum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body(100)))
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "Content-Length": "100", "X-Amz-Checksum-Crc32": base64.StdEncoding.EncodeToString(checksum),
		"X-Amz-Meta-Aws_kinesisvideo_fragment_number": "913", "X-Amz-Meta-Kvsframes_stream": "front%20door",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}
