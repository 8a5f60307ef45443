package kvstest

import (
	"strings"
	"testing"
	"time"
)

func TestFaultsAreReadFromText(t *testing.T) {
	for text, want := range map[string]Fault{
		"throttle":                                    {Kind: FaultThrottle},
		"cut:op=GetMedia,every=1,bytes=100000":        {Kind: FaultCut, Op: "GetMedia", Every: 1, Bytes: 100000},
		"cut:p=0.25,seed=7,bytes=1-200000,clean=true": {Kind: FaultCut, P: 0.25, Seed: 7, Bytes: 1, BytesMax: 200000, Clean: true},
		"stall:stream=cam,nth=2,after=500ms,for=1s":   {Kind: FaultStall, Stream: "cam", Nth: 2, After: 500 * time.Millisecond, For: time.Second},
		"slow:delay=1s,rate=1000":                     {Kind: FaultSlow, Rate: 1000, Delay: time.Second},
		"corrupt:bytes=10,length=3":                   {Kind: FaultCorrupt, Bytes: 10, Length: 3},
		"idle:fragments=2":                            {Kind: FaultIdle, Fragments: 2},
		"tag:fragments=1,id=4500,code=X,skip=true":    {Kind: FaultTag, ID: 4500, Code: "X", Fragments: 1, Skip: true},
		"missing:op=GetMedia,fragment=123":            {Kind: FaultMissing, Op: "GetMedia", Fragment: "123"},
		"missing:p=0.1,tries=2":                       {Kind: FaultMissing, P: 0.1, Tries: 2},
		"token:code=ExpiredTokenException":            {Kind: FaultToken, Code: "ExpiredTokenException"},
		"http:op=*,label=flaky,count=3,status=503":    {Kind: FaultHTTP, Op: "*", Label: "flaky", Count: 3, Status: 503},
	} {
		got, err := ParseFault(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%s is written as %s", text, got)
		}
	}
	if got, err := ParseFault("cut:clean,bytes=1"); err != nil || !got.Clean {
		t.Errorf("a switch without a value is read as %+v, %v", got, err)
	}
}

func TestBadFaultsAreRefusedWithAHint(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "there is no fault",
		"cutt:bytes=1":                "did you mean cut?",
		"cut:byte=1":                  "did you mean bytes?",
		"cut:bytes=1,bytes=2":         "given twice",
		"cut:bytes=many":              "the value must be N or N-M",
		"cut:bytes=9-3":               "is not a range",
		"cut:bytes=-3":                "the value must be",
		"cut:bytes=1,":                `takes no ""`,
		"cut:after=5":                 "the value must be TIME",
		"cut:after=-5s":               "is negative",
		"cut:after=5s,bytes=1":        "only one of bytes and after",
		"cut:op=GetMedai":             "did you mean GetMedia?",
		"cut:nth=1,every=2":           "only one of nth, every and p",
		"cut:nth=-1":                  "is negative",
		"cut:p=2":                     "is not between 0 and 1",
		"cut:p=NaN":                   "is not between 0 and 1",
		"cut:stream=a/b":              "neither * nor the name of a stream",
		"cut:clean=perhaps":           "the value must be",
		"idle:op=ListFragments":       "is not one that idle can affect",
		"slow":                        "needs rate or delay",
		"tag":                         "needs id",
		"missing:nth=1":               `takes no "nth"`,
		"missing:fragment=x":          "neither * nor a fragment number",
		"missing:op=GetMedia,tries=1": "no meaning",
		"missing:op=GetMedia,code=X":  "no meaning",
		"token:code=Expired":          "neither NotAuthorizedException nor ExpiredTokenException",
		"http:status=200":             "not between 400 and 599",
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want one about %q", text, err, want)
		}
	}
	s := NewServer(Options{})
	if err := s.SetFaults([]Fault{{Kind: FaultThrottle, Nth: 1, Bytes: 3}}); err == nil || !strings.Contains(err.Error(), "throttle takes no bytes") {
		t.Errorf("a fault with a field of another kind gets %v", err)
	}
}

func TestTheHelpNamesEveryKindAndEveryKey(t *testing.T) {
	help := FaultHelp()
	for _, kind := range FaultKind("").Values() {
		if !strings.Contains(help, "\n  "+kind+" ") {
			t.Errorf("the kind %s is not in the help", kind)
		}
		for _, key := range faultForms[FaultKind(kind)].keys {
			if !strings.Contains(help, "\n  "+key+" ") {
				t.Errorf("the key %s of %s is not in the help", key, kind)
			}
		}
	}
}
