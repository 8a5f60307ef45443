package checkpoint_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/kvsframes/kvsframes/checkpoint"
)

// A program takes over a checkpoint, continues where it is, and moves it on.
func Example() {
	folder, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	f, err := checkpoint.Open(filepath.Join(folder, "cam.json"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for range 2 {
		saved, err := f.Read()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("the last fragment is %q\n", saved)
		if err := f.Write([]byte("42")); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// the last fragment is ""
	// the last fragment is "42"
}
