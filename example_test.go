package kvsframes_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/kvsframes/kvsframes"
)

// Take a key frame of each fragment of a recording, as thumbnails below a folder.
func ExampleLoad() {
	folder, err := os.MkdirTemp("", "kvsframes-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	settings := filepath.Join(folder, "pipeline.yaml")
	err = os.WriteFile(settings, []byte(`
version: 1
source: {type: file, paths: [testdata/demo.mkv], stream: front-door}
sinks:
  - name: thumbs
    type: image
    sample: {type: keyframes}
    resize: {width: 320}
    destination: {type: file, directory: "${OUT}"}
`), 0o600)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	p, err := kvsframes.Load(ctx, kvsframes.LoadOptions{Path: settings, Environ: []string{"OUT=" + filepath.Join(folder, "out")}})
	if err != nil {
		log.Fatal(err) // everything that is wrong, each with its line and column
	}
	plan, err := p.Plan(ctx, kvsframes.PlanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("planned:", *plan.Totals.Sinks["thumbs"].Images, "images")
	summary, err := p.Run(ctx, kvsframes.RunOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("written:", summary.Streams["front-door"].FramesWritten["thumbs"], "images,", summary.Status)
	// Output:
	// planned: 7 images
	// written: 7 images, complete
}
