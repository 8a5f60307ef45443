package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/source"
)

const pairsFile = `source:
  streams: [cam, {stream: "arn:aws:kinesisvideo:eu-west-1:111122223333:stream/cam/1", as: "${AS}"}, {as: b, stream: door}]
  fragment_tags: {motion: 1, zone: "${ZONE}"}
sinks: [{name: a}]
`

func TestMappingsThatStandForText(t *testing.T) {
	env := []string{"AS=far", "ZONE=a=b, c"}
	c, err := Load(Options{Path: "pipeline.yaml", Reader: strings.NewReader(pairsFile), Environ: env})
	if err != nil {
		t.Fatal(err)
	}
	streams := []string{"cam", "far=arn:aws:kinesisvideo:eu-west-1:111122223333:stream/cam/1", "b=door"}
	tags := []string{"motion=1", "zone=a=b, c"}
	kvs, _ := c.Source.KVS()
	if !slices.Equal(kvs.Streams, streams) || !slices.Equal(c.Source.FragmentTags, tags) {
		t.Errorf("streams %q, tags %q", kvs.Streams, c.Source.FragmentTags)
	}
	var printed bytes.Buffer
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	again, err := Load(Options{Path: "pipeline.yaml", Reader: &printed, Environ: env})
	if err != nil || !slices.Equal(again.Source.Origin.(source.KVSConfig).Streams, streams) || !slices.Equal(again.Source.FragmentTags, tags) {
		t.Errorf("printed and read again: %+v, %v", again, err)
	}
}

func TestMappingsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"source: {streams: [{stream: cam}]}":                           "streams[0]: want text",
		"source: {streams: [{stream: cam, name: x}]}":                  "streams[0]: want text",
		"source: {streams: [cam, {stream: door, as: cam}]}":            "streams[1]: is stream cam, as streams[0] is",
		"source: {streams: [{stream: \"cam-*\", as: x}]}":              "streams[0]: \"x=cam-*\" is neither",
		"source: {streams: [{stream: cam, as: \"a/b\"}]}":              "streams[0]: \"a/b=cam\" is neither",
		"source: {streams: [cam], fragment_tags: {a: [b]}}":            "fragment_tags: want a list of text, not a mapping",
		"source: {streams: [cam], fragment_tags: [motion]}":            "fragment_tags[0]: \"motion\" is not the name of a tag and its value",
		"source: {streams: [cam], fragment_tags: {\"\": b}}":           "fragment_tags",
		"source: {streams: [cam], fragment_tags: {a: \"${MISSING}\"}}": "MISSING",
	} {
		_, err := Load(Options{Path: "pipeline.yaml", Reader: strings.NewReader(text + "\nsinks: [{name: a}]\n")})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
