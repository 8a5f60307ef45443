package kvstest

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

func needBoto3(t *testing.T) {
	t.Helper()
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		t.Skipf("no boto3 here: %v", err)
	}
}

// runBoto3 runs a script and reads the JSON that it prints.
func runBoto3(t *testing.T, got any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if err := json.Unmarshal(output, got); err != nil {
		t.Fatal(err)
	}
}

func TestBoto3ReadsAStream(t *testing.T) {
	needBoto3(t)
	const n = 5
	chunks, payload := synthetic(n)
	e := serve(t, Options{})
	e.add(t, "cam", payload)
	second := e.streams["cam"].chunks[1]

	// A whole second, for boto3 cuts what is below it.
	stamp := strconv.FormatInt(epoch.Unix()+3, 10)
	var got map[string]any
	runBoto3(t, &got, filepath.Join("testdata", "get_media.py"), e.url, "cam", e.StreamARN("cam"), second.number, stamp)
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
	wantJSON(t, got, want)
}

// wantJSON compares values by what JSON makes of them.
func wantJSON(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, value := range want {
		a, _ := json.Marshal(got[name])
		b, _ := json.Marshal(value)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: got %s, want %s", name, a, b)
		}
	}
}

func TestBoto3UsesTheArchiveAndTheControlPlane(t *testing.T) {
	needBoto3(t)
	_, payload := synthetic(12)
	e := serve(t, Options{})
	e.add(t, "cam", payload)
	if err := e.CreateStream("bare", 0); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	runBoto3(t, &got, filepath.Join("testdata", "archive.py"), e.url, formatStamp(epoch))
	chunks := e.streams["cam"].chunks
	want := map[string]any{
		"streams":      []any{"bare", "cam", "made"},
		"made":         []any{"ACTIVE", 24.0},
		"fragments":    []any{chunks[2].number, chunks[3].number, chunks[4].number, chunks[5].number},
		"no retention": "NoDataRetentionException",
		"bytes":        float64(chunks[2].archivedSize() + chunks[3].archivedSize()),
		"of nowhere":   "FRAGMENT_NOT_FOUND",
	}
	wantJSON(t, got, want)
}
