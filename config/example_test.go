package config_test

import (
	"fmt"
	"strings"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

const file = `
source: {streams: [front-door]}
sinks:
  - name: thumbs
    quality: 90
`

func ExampleLoad() {
	c, err := config.Load(config.Options{Path: "pipeline.yaml", Reader: strings.NewReader(file), Set: []string{"decode.workers=2"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	kvs, _ := c.Source.KVS()
	fmt.Println(kvs.Streams, c.Decode.Workers, c.Sinks[0].Output().Quality)
	// Output: [front-door] 2 90
}

// Load reports everything that is wrong, with the place of each.
func ExampleLoad_problems() {
	wrong := strings.NewReplacer("90", "900", "streams:", "streems:").Replace(file)
	_, err := config.Load(config.Options{Path: "pipeline.yaml", Reader: strings.NewReader(wrong)})
	fmt.Println(err)
	// Output:
	// pipeline.yaml:2:1: source.streams: is empty: name at least one stream
	// pipeline.yaml:2:10: source.streems: unknown key (did you mean streams?)
	// pipeline.yaml:5:14: sinks[0].quality: 900 is not within 1..100
}

// A program adds a destination of its own (see shelf in the tests) to those of this module.
func ExampleBuiltIn() {
	variants := config.BuiltIn()
	setting.Add[sink.Location](variants, "shelf", shelf{Class: classHot})

	own := file + "    destination: {type: shelf, number: 3}\n"
	c, err := config.Load(config.Options{Path: "pipeline.yaml", Reader: strings.NewReader(own), Variants: variants})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Sinks[0].Destination.Location.(shelf).Number)
	// Output: 3
}
