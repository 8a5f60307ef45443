// Package audittest counts what runs have stored, for tests: it compares the objects of a store with those of an undisturbed run, and with
// what their own manifests say. It reads the objects alone, by code of its own, so that nothing that the program believes is repeated.
package audittest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Object is what a store holds under one key.
type Object struct {
	Size   int64
	SHA256 string // in hexadecimal
	// Lines are those of a part of a manifest or of a ledger.
	Lines []string
	// Inside are the images that an object of several holds: their sizes, by their digests. It is nil for other objects.
	Inside map[string]int64
	// PNG is the object, if it is one: a picture, or a sheet of several.
	PNG []byte
}

// Stored holds the objects of a store by their keys.
type Stored map[string]Object

// Add adds the object of a key.
func (s Stored) Add(key string, data []byte) {
	sum := sha256.Sum256(data)
	o := Object{Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Inside: inside(key, data)}
	if path.Ext(key) == ".png" {
		o.PNG = data
	}
	if isPart(key) {
		for line := range bytes.Lines(data) {
			o.Lines = append(o.Lines, string(line))
		}
	}
	s[key] = o
}

// AddFolder adds all files below a folder, by their paths in it.
func (s Stored) AddFolder(folder string) error {
	return filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		key, err := filepath.Rel(folder, name)
		s.Add(filepath.ToSlash(key), data)
		return err
	})
}

// Replaced returns the objects with text in place of what matches in their keys and lines: of what differs from run to run.
func (s Stored) Replaced(pattern *regexp.Regexp, text string) Stored {
	all := Stored{}
	for key, o := range s {
		lines := make([]string, len(o.Lines))
		for i, line := range o.Lines {
			lines[i] = pattern.ReplaceAllString(line, text)
		}
		o.Lines = lines
		all[pattern.ReplaceAllString(key, text)] = o
	}
	return all
}

// isPart reports whether a key is that of a part of a manifest or of a ledger.
func isPart(key string) bool {
	return path.Ext(key) == ".jsonl" && (strings.Contains(key, "manifest/") || strings.Contains(key, "gaps/"))
}

// isUnfinished reports whether a key is that of a file which a run had not completed.
func isUnfinished(key string) bool { return strings.HasPrefix(path.Base(key), ".kvsframes-tmp-") }
