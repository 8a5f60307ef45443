package kvsemu

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// python is Debian's own, which is the one that python3-boto3 is installed for.
const python = "/usr/bin/python3"

func TestBoto3ReadsAStream(t *testing.T) {
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		t.Skipf("no boto3 here: %v", err)
	}
	const n = 5
	chunks, payload := synthetic(n)
	e := serve(t, Options{})
	e.add(t, "cam", payload)
	second := e.streams["cam"].chunks[1]

	script := filepath.Join("testdata", "get_media.py")
	// A whole second, for boto3 cuts what is below it.
	stamp := strconv.FormatInt(epoch.Unix()+3, 10)
	cmd := exec.CommandContext(t.Context(), python, script, e.url, "cam", e.StreamARN("cam"), second.number, stamp)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var got map[string]any
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatal(err)
	}
	from := func(i int) string { return hashHex(bytes.Join(chunks[i:], nil)) }
	want := map[string]any{
		"EARLIEST":           from(0),
		"ARN":                from(0),
		"NOW":                from(n - 1),
		"FRAGMENT_NUMBER":    from(2),
		"CONTINUATION_TOKEN": from(2),
		"PRODUCER_TIMESTAMP": from(3),
		"missing":            []any{"ResourceNotFoundException", 404.0, 36.0},
		"wrong secret":       []any{"InvalidSignatureException", 403.0, 36.0},
	}
	for name, value := range want {
		a, _ := json.Marshal(got[name])
		b, _ := json.Marshal(value)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: got %s, want %s", name, a, b)
		}
	}
}
