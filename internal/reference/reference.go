// Package reference writes tables of a reference in Markdown: of the fields of a JSON document, from the tags of the structs that
// are encoded, and of anything else that has a name and a description.
package reference

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Field is one field of a JSON document.
type Field struct {
	// Name is the path of the field: streams.NAME.status is the field status of every value of the mapping streams, gaps[].after the
	// field after of every entry of the list gaps.
	Name string
	// Type is the type of the value in plain words: number, list of text.
	Type string
	// Doc is the tag `doc` of the field.
	Doc string
}

// Fields returns the fields of the JSON document of a struct, in order, with those of the structs in it. known names the types that have
// a table of their own.
func Fields(document any, known map[reflect.Type]string) []Field {
	return fieldsOf(reflect.TypeOf(document), "", known)
}

func fieldsOf(t reflect.Type, within string, known map[reflect.Type]string) (list []Field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			list = append(list, fieldsOf(f.Type, within, known)...)
		case !f.IsExported() || name == "-" || name == "":
		default:
			at := within + name
			text, inner, suffix := describe(f.Type, known)
			if f.Type.Kind() == reflect.Pointer && inner == nil && text != known[f.Type.Elem()] && !strings.Contains(f.Tag.Get("json"), ",omitempty") {
				text += " or null"
			}
			list = append(list, Field{at, text, f.Tag.Get("doc")})
			if inner != nil {
				list = append(list, fieldsOf(inner, at+suffix+".", known)...)
			}
		}
	}
	return list
}

// describe returns the type of a JSON value in words. If it holds structs without a table of their own, inner is their type, and suffix
// the path from the value to one of them.
func describe(t reflect.Type, known map[reflect.Type]string) (text string, inner reflect.Type, suffix string) {
	name, ok := known[t]
	switch {
	case ok:
		return name, nil, ""
	case t == reflect.TypeFor[time.Time](), t.Kind() == reflect.String:
		return "text", nil, ""
	case t.Kind() == reflect.Pointer:
		return describe(t.Elem(), known)
	case t.Kind() == reflect.Slice:
		text, inner, suffix = describe(t.Elem(), known)
		return "list of " + plural(text), inner, "[]" + suffix
	case t.Kind() == reflect.Map:
		text, inner, suffix = describe(t.Elem(), known)
		return text + " by name", inner, ".NAME" + suffix
	case t.Kind() == reflect.Bool:
		return "true or false", nil, ""
	case t.Kind() == reflect.Struct && !t.Implements(reflect.TypeFor[json.Marshaler]()):
		return "object", t, ""
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		return "number", nil, ""
	}
	panic("reference: no words for " + t.String())
}

func plural(text string) string {
	if text == "text" {
		return text
	}
	return text + "s"
}

// Table writes a table. The first cell of each row is shown as code.
func Table(w io.Writer, head []string, rows [][]string) {
	fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ")
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = escape.Replace(cell); i == 0 {
				cells[i] = "`" + cells[i] + "`"
			}
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// FieldTable writes the table of fields.
func FieldTable(w io.Writer, fields []Field) {
	rows := make([][]string, len(fields))
	for i, f := range fields {
		rows[i] = []string{f.Name, f.Type, f.Doc}
	}
	Table(w, []string{"Key", "Type", "What"}, rows)
}
