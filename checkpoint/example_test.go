package checkpoint_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/kvsframes/kvsframes/checkpoint"
)

// A program takes over a checkpoint, continues where it is, and moves it on.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	for range 2 {
		c, err := checkpoint.NewFile(filepath.Join(folder, "cam.json")).Acquire(ctx, false)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("the last fragment is %q\n", c.State())
		if err := c.Save(ctx, []byte(`"42"`)); err != nil {
			log.Fatal(err)
		}
		if err := c.Release(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// the last fragment is ""
	// the last fragment is "\"42\""
}
