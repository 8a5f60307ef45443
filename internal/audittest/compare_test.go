package audittest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	manifestPart = "cam/manifest/all/7.jsonl"
	ledgerPart   = "cam/gaps/all/8.jsonl"
)

// small are the objects of a run: three images, their manifest part, and a part of the ledger with two gaps.
func small() map[string]string {
	objects := map[string]string{}
	for i := range 3 {
		key, data := fmt.Sprintf("cam/7_%d.jpg", i), fmt.Sprint("image ", i)
		objects[key] = data
		sum := sha256.Sum256([]byte(data))
		objects[manifestPart] += fmt.Sprintf(`{"stream":"cam","fragment_number":"7","frame_index":%d,"sink":"all","key":%q,"bytes":%d,"sha256":%q}`+"\n", i, key, len(data), hex.EncodeToString(sum[:]))
	}
	for i := range 2 {
		objects[ledgerPart] += fmt.Sprintf(`{"stream":"cam","sink":"all","fragment_number":"8","from_frame":%d,"frames_lost":1,"reason":"damaged"}`+"\n", i)
	}
	return objects
}

func stored(objects map[string]string) Stored {
	s := Stored{}
	for key, data := range objects {
		s.Add(key, []byte(data))
	}
	return s
}

// withoutLine returns text without its line n.
func withoutLine(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(slices.Delete(lines, n, n+1), "")
}

func TestEachDifferenceIsOneFinding(t *testing.T) {
	const image = "cam/7_1.jpg"
	for name, test := range map[string]struct {
		change func(map[string]string)
		want   []string // kinds and keys
	}{
		"nothing is changed": {func(map[string]string) {}, nil},
		"an object is removed": {func(o map[string]string) {
			delete(o, image)
		}, []string{"lost " + image}},
		"an object is written twice under another name": {func(o map[string]string) {
			o["cam/again.jpg"] = o[image]
		}, []string{"duplicated cam/again.jpg"}},
		"an object that nothing asked for": {func(o map[string]string) {
			o["cam/other.jpg"] = "another image"
		}, []string{"duplicated cam/other.jpg"}},
		"a byte is flipped": {func(o map[string]string) {
			o[image] = "imagE 1"
		}, []string{"changed " + image}},
		"a line of a manifest is repeated": {func(o map[string]string) {
			o[manifestPart] += strings.SplitAfter(o[manifestPart], "\n")[1]
		}, []string{"duplicated " + manifestPart}},
		"a line of a manifest is repeated in another part": {func(o map[string]string) {
			o["cam/manifest/all/9.jsonl"] = strings.SplitAfter(o[manifestPart], "\n")[1]
		}, []string{"duplicated cam/manifest/all/9.jsonl"}},
		"a line of a manifest is removed": {func(o map[string]string) {
			o[manifestPart] = withoutLine(o[manifestPart], 1)
		}, []string{"lost " + manifestPart}},
		"a part of a manifest is removed": {func(o map[string]string) {
			delete(o, manifestPart)
		}, []string{"lost " + manifestPart, "lost " + manifestPart, "lost " + manifestPart}},
		"a record of a ledger is removed": {func(o map[string]string) {
			o[ledgerPart] = withoutLine(o[ledgerPart], 0)
		}, []string{"lost " + ledgerPart}},
		"a record of a ledger is repeated": {func(o map[string]string) {
			o[ledgerPart] += strings.SplitAfter(o[ledgerPart], "\n")[0]
		}, []string{"duplicated " + ledgerPart}},
		"an unfinished file is left": {func(o map[string]string) {
			o["cam/.kvsframes-tmp-ABC"] = "ima"
		}, []string{"unfinished cam/.kvsframes-tmp-ABC"}},
		"an object and its record are of other bytes": {func(o map[string]string) {
			o[image] = "imagE 1"
			sum := sha256.Sum256([]byte("image 1"))
			other := sha256.Sum256([]byte(o[image]))
			o[manifestPart] = strings.ReplaceAll(o[manifestPart], hex.EncodeToString(sum[:]), hex.EncodeToString(other[:]))
		}, []string{"changed " + image, "duplicated " + manifestPart, "lost " + manifestPart}},
		"a line is cut": {func(o map[string]string) {
			o[ledgerPart] = o[ledgerPart][:len(o[ledgerPart])-5]
		}, []string{"changed " + ledgerPart, "duplicated " + ledgerPart, "lost " + ledgerPart}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := small()
			test.change(objects)
			var got []string
			for _, f := range Compare(stored(objects), stored(small())) {
				got = append(got, string(f.Kind)+" "+f.Key)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// TestAGuessMayDiffer changes an image and its record alike, which is a difference unless both records mark a guess.
func TestAGuessMayDiffer(t *testing.T) {
	objects := func(data, concealed string) Stored {
		sum := sha256.Sum256([]byte(data))
		record := fmt.Sprintf(`{"stream":"cam","fragment_number":"7","frame_index":1,"sink":"all","key":"a.jpg","concealed":%s,"bytes":%d,"sha256":%q}`+"\n", concealed, len(data), hex.EncodeToString(sum[:]))
		return stored(map[string]string{"a.jpg": data, manifestPart: record})
	}
	for _, test := range []struct {
		got, want Stored
		found     []Kind
	}{
		{objects("other", "true"), objects("image", "true"), []Kind{Guessed}},
		{objects("other", "false"), objects("image", "true"), []Kind{Changed, Duplicated, Lost}},
		{objects("other", "true"), objects("image", "false"), []Kind{Changed, Duplicated, Lost}},
		{objects("image", "true"), objects("image", "false"), []Kind{Duplicated, Lost}},
		{objects("image", "false"), objects("image", "true"), []Kind{Duplicated, Lost}},
		{objects("other", "false"), objects("image", "false"), []Kind{Changed, Duplicated, Lost}},
		{stored(nil), objects("image", "true"), []Kind{Lost, Lost}},
	} {
		var kinds []Kind
		for _, f := range Compare(test.got, test.want) {
			kinds = append(kinds, f.Kind)
		}
		if !slices.Equal(kinds, test.found) {
			t.Errorf("found %q, want %q", kinds, test.found)
		}
	}
}

// TestARecordThatIsNotTrueIsFoundWithoutTheOtherRun compares objects with themselves.
func TestARecordThatIsNotTrueIsFoundWithoutTheOtherRun(t *testing.T) {
	for name, change := range map[string]func(map[string]string){
		"lost cam/7_1.jpg":           func(o map[string]string) { delete(o, "cam/7_1.jpg") },
		"changed cam/7_1.jpg":        func(o map[string]string) { o["cam/7_1.jpg"] = "imagE 1" },
		"duplicated " + manifestPart: func(o map[string]string) { o[manifestPart] += strings.SplitAfter(o[manifestPart], "\n")[0] },
	} {
		objects := small()
		change(objects)
		s := stored(objects)
		if found := Compare(s, s); len(found) != 1 || string(found[0].Kind)+" "+found[0].Key != name {
			t.Errorf("found %v, want %s", found, name)
		}
	}
}

func TestTextIsReplacedInKeysAndLines(t *testing.T) {
	other := map[string]string{}
	for key, data := range small() {
		other[strings.ReplaceAll(key, "cam", "door")] = strings.ReplaceAll(data, "cam", "door")
	}
	if found := Compare(stored(other).Replaced(regexp.MustCompile("do+r"), "cam"), stored(small())); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestCountCountsOneKind(t *testing.T) {
	all := []Finding{{Kind: Lost}, {Kind: Changed}, {Kind: Lost}}
	if n := Count(all, Lost); n != 2 {
		t.Errorf("%d of two", n)
	}
	if n := Count(all, Duplicated); n != 0 {
		t.Errorf("%d of none", n)
	}
}

func TestFilesHaveTheirPathsAsKeys(t *testing.T) {
	folder := t.TempDir()
	for key, data := range small() {
		name := filepath.Join(folder, key)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := Stored{}
	if err := got.AddFolder(folder); err != nil {
		t.Fatal(err)
	}
	same := func(a, b Object) bool {
		return a.SHA256 == b.SHA256 && a.Size == b.Size && slices.Equal(a.Lines, b.Lines)
	}
	if !maps.EqualFunc(got, stored(small()), same) || len(got[manifestPart].Lines) != 3 {
		t.Errorf("the folder holds %v", got)
	}
	if err := got.AddFolder(filepath.Join(folder, "none")); err == nil || !bytes.Contains([]byte(err.Error()), []byte("none")) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
