package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// refusedEarlier are the wrong files that are no document for a schema: not YAML, more than one document, or with keys that JSON has not.
var refusedEarlier = []string{
	"aliases", "complex_keys", "duplicate_keys", "number_keys", "syntax", "two_documents", "yaml_braces", "yaml_colon", "yaml_colon_of_value",
	"yaml_indent_between", "yaml_indent_deeper", "yaml_reference", "yaml_reference_with_colon", "yaml_space_after_colon", "yaml_star", "yaml_tab",
}

// semantic are the wrong files whose keys, types and texts are right one by one: rules between keys refuse them, or a rule about the
// content of a text, and in one file a form of YAML of which a schema sees only the value.
var semantic = []string{
	"checkpoint_s3", "combinations", "deliver_archive", "deliver_file", "deliver_tags", "indices_live", "interval_and_fps",
	"keys_of_other_samplers", "keys_of_other_types", "lag_alone", "lag_archive", "lag_file", "lag_without_max", "latest_jpg",
	"missing_stream_and_name", "same_keys", "stride_without_n", "tags", "two_streams_one_key",
}

// compiled returns the schema as a checker reads it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	var text bytes.Buffer
	if err := WriteSchema(&text, nil); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(&text)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("pipeline.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("pipeline.schema.json") // also checks it against its dialect
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// errNoYAML states that a text is no document of YAML with keys of text.
var errNoYAML = errors.New("not one document of YAML")

// document returns the values of a YAML file as those of a JSON document, as another reader of YAML than ours sees them.
func document(text []byte) (any, error) {
	var value, more any
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&value); err != nil {
		return nil, errors.Join(errNoYAML, err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.Join(errNoYAML, err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, errors.Join(errNoYAML, err)
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}

func TestTheSchemaAcceptsWhatIsRight(t *testing.T) {
	schema := compiled(t)
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	texts := map[string]string{"every kind of sink": everySink, "the shortest file": minimal, "pairs": pairsFile}
	for _, file := range append(files, shippedFile) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	for name, text := range texts {
		value, err := document([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	schema := compiled(t)
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d wrong files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bad.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		value, err := document(text)
		noYAML := err != nil
		valid := !noYAML && schema.Validate(value) == nil
		if listed := slices.Contains(refusedEarlier, name); listed != noYAML {
			t.Errorf("%s: it is listed as no YAML: %t, but reading it gives %v", name, listed, err)
		}
		if listed := slices.Contains(semantic, name); listed != valid {
			t.Errorf("%s: it is listed as right for a schema: %t, but the schema accepts it: %t", name, listed, valid)
		}
	}
}

func TestTheSchemaKnowsValues(t *testing.T) {
	schema := compiled(t)
	for _, test := range []struct {
		text string
		want bool
	}{
		{"decode: {workers: 4}", true},
		{"decode: {workers: four}", false},
		{"decode: {workers: -1}", false},
		{"decode: {workers: 1025}", false},
		{"decode: {workers: \"${WORKERS:-4}\"}", true},
		{"decode: {max_memory: 2GiB}", true},
		{"decode: {max_memory: 2000}", false},
		{"decode: {max_memory: $MEMORY}", false},
		{"decode: {isolation: none}", true},
		{"decode: {isolation: some}", false},
		{"decode: {isolation: \"${ISOLATION}\"}", true},
		{"decode: {isolation: }", false},
		{"decode:", true},
		{"decode: 4", false},
		{"decoder: {}", false},
		{"fleet: {}", false},
		{"service: {shutdown_timeout: 1m30s}", true},
		{"service: {shutdown_timeout: 90}", false},
		{"source: {track: 2}", true},
		{"source: {track: first}", false},
		{"source: {streams: cam}", true},
		{"source: {streams: [{stream: cam, as: c}]}", true},
		{"source: {streams: [{stream: cam, name: c}]}", false},
		{"source: {fragment_tags: {site: 7}}", true},
		{"source: {fragment_tags: {site: [7]}}", false},
		{"source: {start_selector: {timestamp: 2026-11-01T00:00:00Z}}", true},
		{"source: {start_selector: {timestamp: tomorrow}}", false},
	} {
		value, err := document([]byte("sinks: [{name: a}]\n" + test.text))
		if err != nil {
			t.Fatalf("%s: %v", test.text, err)
		}
		if err := schema.Validate(value); (err == nil) != test.want {
			t.Errorf("%s: %v, want it to be right: %t", test.text, err, test.want)
		}
	}
}
