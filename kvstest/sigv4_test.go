package kvstest

import (
	"bufio"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The published test suite of the signing process ("aws-sig-v4-test-suite"): a fixed
// key, a fixed moment, and the signature that each request must have.
const (
	suiteKey    = "AKIDEXAMPLE"
	suiteSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	suiteScope  = "20150830/us-east-1/service/aws4_request"
)

var suiteTime = time.Date(2015, time.August, 30, 12, 36, 0, 0, time.UTC)

var suite = []struct {
	name, request, body, signedHeaders, signature string
}{
	{
		name:          "get-vanilla",
		request:       "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n\n",
		signedHeaders: "host;x-amz-date",
		signature:     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
	},
	{
		name:          "get-vanilla-query-order-key-case",
		request:       "GET /?Param2=value2&Param1=value1 HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n\n",
		signedHeaders: "host;x-amz-date",
		signature:     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
	},
	{
		name:          "get-header-value-trim",
		request:       "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1: value1\nMy-Header2: \"a   b   c\"\nX-Amz-Date:20150830T123600Z\n\n",
		signedHeaders: "host;my-header1;my-header2;x-amz-date",
		signature:     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
	},
	{
		name:          "get-header-key-duplicate",
		request:       "GET / HTTP/1.1\nHost:example.amazonaws.com\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\nX-Amz-Date:20150830T123600Z\n\n",
		signedHeaders: "host;my-header1;x-amz-date",
		signature:     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
	},
	{
		name:          "post-vanilla",
		request:       "POST / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n\n",
		signedHeaders: "host;x-amz-date",
		signature:     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
	},
	{
		name:          "post-x-www-form-urlencoded",
		request:       "POST / HTTP/1.1\nContent-Type:application/x-www-form-urlencoded\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\nContent-Length:13\n\n",
		body:          "Param1=value1",
		signedHeaders: "content-type;host;x-amz-date",
		signature:     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
	},
}

func suiteVerifier() *verifier {
	return &verifier{
		accessKey: suiteKey,
		secretKey: suiteSecret,
		region:    "us-east-1",
		service:   "service",
		now:       func() time.Time { return suiteTime },
	}
}

func TestTheVerifierComputesThePublishedSignatures(t *testing.T) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(c.request, "\n", "\r\n") + c.body)))
			if err != nil {
				t.Fatal(err)
			}
			v := suiteVerifier()
			auth := authorization{
				accessKey: suiteKey, date: "20150830", region: "us-east-1", service: "service",
				signedHeaders: strings.Split(c.signedHeaders, ";"),
			}
			got := v.signature(auth, "20150830T123600Z", canonicalRequest(r, auth.signedHeaders, hashHex([]byte(c.body))))
			if hex.EncodeToString(got) != c.signature {
				t.Errorf("signature is %x, want %s", got, c.signature)
			}
			header := "AWS4-HMAC-SHA256 Credential=" + suiteKey + "/" + suiteScope + ", SignedHeaders=" + c.signedHeaders + ", Signature="
			r.Header.Set("Authorization", header+c.signature)
			if refusal := v.verify(r, hashHex([]byte(c.body))); refusal != nil {
				t.Errorf("the published request is refused: %v", refusal)
			}
			r.Header.Set("Authorization", header+strings.Repeat("0", 64))
			if refusal := v.verify(r, hashHex([]byte(c.body))); refusal == nil || refusal.code != "InvalidSignatureException" {
				t.Errorf("a wrong signature gets %v", refusal)
			}
		})
	}
}

func TestTheVerifierSignsAnUnsignedPayloadAsSuch(t *testing.T) {
	r, err := http.NewRequest(http.MethodPost, "http://example.amazonaws.com/putMedia", strings.NewReader("endless"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	v := suiteVerifier()
	auth := authorization{
		accessKey: suiteKey, date: "20150830", region: "us-east-1", service: "service",
		signedHeaders: []string{"host", "x-amz-date"},
	}
	signature := v.signature(auth, "20150830T123600Z", canonicalRequest(r, auth.signedHeaders, unsignedPayload))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+suiteKey+"/"+suiteScope+", SignedHeaders=host;x-amz-date, Signature="+hex.EncodeToString(signature))
	if refusal := v.verify(r, unsignedPayload); refusal != nil {
		t.Errorf("refused: %v", refusal)
	}
	if refusal := v.verify(r, hashHex([]byte("endless"))); refusal == nil {
		t.Error("an unsigned payload passes where the payload must be signed")
	}
}

func TestThePathIsEncodedTwice(t *testing.T) {
	for escaped, want := range map[string]string{"": "/", "/getMedia": "/getMedia", "/a%20b/c": "/a%2520b/c"} {
		if got := canonicalPath(escaped); got != want {
			t.Errorf("path %q becomes %q, want %q", escaped, got, want)
		}
	}
}
