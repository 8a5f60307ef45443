package view

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// column holds one key of all records, in few bytes. How its values are written follows from the first of them; values of another form are
// exceptions. page.js reads it.
type column struct {
	name string
	form form
	// values are numbers: the values themselves, times in milliseconds since 1970, or places in texts.
	values runs
	texts  []string // JSON
	places map[string]int
	hashes []byte
	odd    map[int]json.RawMessage
}

// form is how a column's values are written.
type form string

const (
	numberForm form = "number"
	truthForm  form = "truth"
	timeForm   form = "time"
	hashForm   form = "hash" // 32 bytes
	textForm   form = "text" // any JSON
)

// The stand-ins, in the text of a key, for what other columns hold. JSON has these characters in no text.
const (
	timeMark     = "\x01" // producer_timestamp, as it stands in names
	fragmentMark = "\x02"
	indexMark    = "\x03" // frame_index, in six digits
)

// largest is the largest number of which JavaScript knows all digits.
const largest = 1<<53 - 1

// unknownTime stands for a time that is not known, which is an empty text in a record.
var unknownTime = time.Time{}.UnixMilli()

func newColumn(name string, first json.RawMessage) *column {
	c := &column{name: name, form: textForm, places: map[string]int{}, odd: map[int]json.RawMessage{}}
	for _, f := range []form{numberForm, truthForm, timeForm, hashForm} {
		if c.form = f; c.fits(first) {
			return c
		}
	}
	c.form = textForm
	if strings.HasSuffix(name, "_timestamp") {
		c.form = timeForm
	}
	return c
}

func (c *column) fits(value json.RawMessage) bool {
	_, ok := c.number(value)
	if c.form == hashForm {
		_, ok = hash(value)
	}
	return ok
}

// add adds the value of the next record; nil if it has none.
func (c *column) add(row int, value json.RawMessage) {
	switch n, ok := c.number(value); {
	case value == nil:
		c.odd[row] = nil
	case c.form == textForm:
		c.values.add(int64(c.place(string(value))))
		return
	case c.form == hashForm:
		if h, ok := hash(value); ok {
			c.hashes = append(c.hashes, h...)
			return
		}
		c.odd[row] = value
	case ok:
		c.values.add(n)
		return
	default:
		c.odd[row] = value
	}
	// What is an exception has a place among the others all the same.
	if c.form == hashForm {
		c.hashes = append(c.hashes, make([]byte, hashSize)...)
		return
	}
	c.values.add(c.values.last)
}

// number returns a value of the forms that are numbers.
func (c *column) number(value json.RawMessage) (int64, bool) {
	text := string(value)
	switch c.form {
	case numberForm:
		n, err := strconv.ParseInt(text, 10, 64)
		return n, err == nil && max(n, -n) <= largest && strconv.FormatInt(n, 10) == text
	case truthForm:
		return int64(strings.Index("falsetrue", text) / len("false")), text == "true" || text == "false"
	case timeForm:
		if text == `""` {
			return unknownTime, true
		}
		t, err := time.Parse(timeLayout, strings.Trim(text, `"`))
		return t.UnixMilli(), err == nil
	}
	return 0, false
}

// timeLayout is that of records, and nameLayout that of names, with a dot where they have an underscore.
const (
	timeLayout = "2006-01-02T15:04:05.000Z"
	nameLayout = "20060102T150405.000Z"
)

const hashSize = 32

// hash returns the bytes of a text of 64 hex digits.
func hash(value json.RawMessage) ([]byte, bool) {
	text := strings.Trim(string(value), `"`)
	b, err := hex.DecodeString(text)
	return b, err == nil && len(b) == hashSize && strings.ToLower(text) == text
}

// place returns the place of a text, which is new if it was not there.
func (c *column) place(text string) int {
	at, ok := c.places[text]
	if !ok {
		at = len(c.texts)
		c.places[text] = at
		c.texts = append(c.texts, text)
	}
	return at
}

// MarshalJSON writes the column for page.js.
func (c *column) MarshalJSON() ([]byte, error) {
	data := c.values.bytes()
	if c.form == hashForm {
		data = c.hashes
	}
	return json.Marshal(struct {
		Name  string                  `json:"name"`
		Form  form                    `json:"form"`
		Data  string                  `json:"data"`
		Texts []any                   `json:"texts"`
		Odd   map[int]json.RawMessage `json:"odd"`
	}{c.name, c.form, base64.StdEncoding.EncodeToString(data), shortened(c.texts), c.odd})
}

// shortened returns each text as what it shares with the one before it, in characters, and the rest.
func shortened(texts []string) []any {
	pairs, last := make([]any, 0, 2*len(texts)), ""
	for _, t := range texts {
		n := 0
		// Of ASCII, where Go and JavaScript count alike.
		for n < len(t) && n < len(last) && t[n] == last[n] && t[n] < 0x80 {
			n++
		}
		pairs, last = append(pairs, n, t[n:]), t
	}
	return pairs
}

// runs are numbers, written as how often each difference comes in a row: for a number that stays the same, or grows evenly, a few bytes.
type runs struct {
	out         []byte
	last, delta int64
	times       uint64
}

func (r *runs) add(n int64) {
	delta := n - r.last
	r.last = n
	if r.times > 0 && delta == r.delta {
		r.times++
		return
	}
	r.out = r.bytes()
	r.delta, r.times = delta, 1
}

// bytes returns all numbers: for each difference its value and how often it comes, as encoding/binary writes varints.
func (r *runs) bytes() []byte {
	if r.times == 0 {
		return r.out
	}
	return binary.AppendUvarint(binary.AppendVarint(r.out, r.delta), r.times)
}
