package main

import (
	"bytes"
	"testing"
)

func TestTheSameArgumentsGiveTheSameVideo(t *testing.T) {
	var a, b, longer bytes.Buffer
	for w, frames := range map[*bytes.Buffer]string{&a: "3", &b: "3", &longer: "4"} {
		if err := run([]string{"320", "180", frames}, w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) || !bytes.HasPrefix(longer.Bytes(), a.Bytes()) {
		t.Error("two runs differ")
	}
	header := []byte("YUV4MPEG2 W320 H180 F30:1 Ip A1:1 C420mpeg2\n")
	frame := len("FRAME\n") + 320*180*3/2
	if !bytes.HasPrefix(a.Bytes(), header) || a.Len() != len(header)+3*frame {
		t.Errorf("%d bytes, they start with %q", a.Len(), a.Bytes()[:len(header)])
	}
	if first := a.Bytes()[len(header):]; bytes.Equal(first[:frame], first[frame:2*frame]) {
		t.Error("nothing moves")
	}
}
