// Package view makes a page that shows what runs have written: every record of their manifests and every gap of their ledgers, on a time line,
// with the pictures.
//
// The page is one file. It has the records in it, and loads nothing but the pictures, from the folder where they are or from a Handler.
package view

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // of the page
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/manifest"
)

//go:embed page.html
var document string

//go:embed page.css
var style string

//go:embed page.js
var script string

// Options are the settings of Read.
type Options struct {
	// Title names what the page shows, such as its folder.
	Title string
	// Temp is the folder for temporary files; "" is that of the system.
	Temp string
}

// Page is everything that some objects tell of frames. It takes about 100 bytes of memory for each.
type Page struct {
	title   string
	columns []*column
	byName  map[string]*column
	gaps    []json.RawMessage
	records int
	// keys are hashes of all keys.
	keys map[uint64]struct{}
	seed maphash.Seed
}

// Read reads the manifest and ledger parts among some objects. Without any it returns manifest.ErrNoParts.
func Read(ctx context.Context, from manifest.Objects, o Options) (*Page, error) {
	p := &Page{title: o.Title, columns: []*column{}, gaps: []json.RawMessage{}, byName: map[string]*column{}, keys: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	_, err := manifest.Scan(ctx, from, manifest.Options{Temp: o.Temp}, p.add, func(line []byte) error {
		p.gaps = append(p.gaps, line)
		return nil
	})
	return p, err
}

// Counts returns the number of records and of gaps.
func (p *Page) Counts() (records, gaps int) { return p.records, len(p.gaps) }

// add adds a record.
func (p *Page) add(line []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil {
		return err
	}
	known := 0
	for name := range values {
		if p.byName[name] != nil {
			known++
		}
	}
	if known < len(values) {
		if err := p.addColumns(line); err != nil {
			return err
		}
	}
	if key := ""; json.Unmarshal(values["key"], &key) == nil {
		p.keys[maphash.String(p.seed, key)] = struct{}{}
	}
	if key, ok := values["key"]; ok {
		values["key"] = shortKey(key, values)
	}
	for _, c := range p.columns {
		c.add(p.records, values[c.name])
	}
	p.records++
	return nil
}

// addColumns adds columns for the keys of a record that have none yet, in their order.
func (p *Page) addColumns(line []byte) error {
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		text, ok := name.(string)
		if !ok || p.byName[text] != nil {
			continue
		}
		c := newColumn(text, value)
		for row := range p.records {
			c.add(row, nil)
		}
		p.columns, p.byName[text] = append(p.columns, c), c
	}
	return nil
}

// shortKey returns the key of an object with marks in place of what its record tells anyway: nearly all keys of a stream are then the same.
func shortKey(key json.RawMessage, record map[string]json.RawMessage) json.RawMessage {
	text := string(key)
	var fragment string
	if err := json.Unmarshal(record["fragment_number"], &fragment); err != nil {
		return key
	}
	if t, err := time.Parse(timeLayout, strings.Trim(string(record["producer_timestamp"]), `"`)); err == nil {
		text = strings.ReplaceAll(text, strings.ReplaceAll(t.Format(nameLayout), ".", "_"), timeMark)
	}
	if len(fragment) >= 6 { // shorter ones are anywhere
		text = strings.ReplaceAll(text, fragment, fragmentMark)
	}
	if index := string(record["frame_index"]); len(index) <= 6 && index != "" {
		text = strings.ReplaceAll(text, strings.Repeat("0", 6-len(index))+index, indexMark)
	}
	return json.RawMessage(text)
}

// write writes the page, for images below a URL that may be relative to the page's own and ends with a slash, or is "". policy states
// from where images may come, as img-src of a Content-Security-Policy does.
func (p *Page) write(to io.Writer, images, policy string) error {
	data, err := json.Marshal(struct {
		Title   string            `json:"title"`
		Images  string            `json:"images"`
		Records int               `json:"records"`
		Columns []*column         `json:"columns"`
		Gaps    []json.RawMessage `json:"gaps"`
	}{p.title, images, p.records, p.columns, p.gaps}) // which leaves no < in it
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	source := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	policy = fmt.Sprintf("default-src 'none'; img-src %s; style-src %s; script-src %s; base-uri 'none'; form-action 'none'", policy, source(style), source(script))
	rest := document
	for _, piece := range []struct{ mark, text string }{{"POLICY", policy}, {"STYLE", style}, {"DATA", string(data)}, {"SCRIPT", script}} {
		before, after, ok := strings.Cut(rest, "{{"+piece.mark+"}}")
		if !ok {
			return errors.New("write page: there is no place for " + piece.mark)
		}
		if _, err := io.WriteString(to, before+piece.text); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
		rest = after
	}
	_, err = io.WriteString(to, rest)
	return err
}

// WriteFile writes the page for a browser that opens it as a file. images is the URL of the folder, relative to the page, to which keys are
// relative: "" for the page's own, else it ends with a slash.
func (p *Page) WriteFile(to io.Writer, images string) error { return p.write(to, images, "file:") }
