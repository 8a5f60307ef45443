package setting

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Check returns the problems that Problems.Check finds in a Config, joined. It suffices as a Validate method
// where the tags declare all rules.
func Check(config, defaults any) error {
	var p Problems
	p.Check("", config, defaults)
	return p.Err()
}

// Check adds the problems of a struct by the tags of its fields: values that a key does not accept, numbers out
// of range, missing keys, and keys that are set although another key makes them meaningless. A key whose value
// equals that in defaults, a struct of the same type, counts as not set. For a part with a method Validate()
// error, Check adds the problems that Validate returns instead. path is the path of the struct, "" for the
// Config itself.
func (p *Problems) Check(path string, config, defaults any) {
	p.check(path, reflect.ValueOf(config), reflect.ValueOf(defaults))
}

func (p *Problems) check(path string, config, defaults reflect.Value) {
	list, base := fields(config, path), fields(defaults, path)
	for i, f := range list {
		if f.kind == later || f.kind == chooser {
			continue
		}
		part, validates := f.value.Interface().(interface{ Validate() error })
		switch {
		case f.kind == block && !validates:
			p.Add(f.path, "is missing")
		case f.kind == block:
			p.AddBelow(path, part.Validate())
		case f.kind == mapping && validates:
			p.AddBelow(f.path, part.Validate())
		case f.kind == mapping:
			p.check(f.path, f.value, base[i].value)
		case f.kind == leaf:
			p.checkLeaf(f, base[i].value, list)
		}
	}
}

func (p *Problems) checkLeaf(f field, initial reflect.Value, siblings []field) {
	of := func(path string) field {
		return siblings[slices.IndexFunc(siblings, func(s field) bool { return s.path == path })]
	}
	selected := ""
	if condition, ok := f.condition(); ok {
		if selected = of(condition.Path).value.String(); !condition.Met(selected) {
			if !f.unset() && !reflect.DeepEqual(f.value.Interface(), initial.Interface()) {
				p.Add(f.path, "%s", condition.Unmet(selected))
			}
			return
		}
	}
	if name := f.tag.Get("unless"); name != "" && !f.unset() && !of(f.beside(name)).unset() {
		p.Add(f.beside(name), "and %s exclude each other", f.path)
	}
	switch {
	case f.unset() && f.has("required") && selected != "":
		condition, _ := f.condition()
		p.Add(f.path, "is missing: %s %s needs it", condition.name(), selected)
	case f.unset() && f.has("required"):
		p.Add(f.path, "is missing")
	case f.unset() && f.has("optional"):
	default:
		p.checkValue(f)
	}
}

func (p *Problems) checkValue(f field) {
	if now, reserved := valuesOf(f.value.Type(), f.tag.Get("only")); len(now) > 0 {
		if err := CheckValue(f.value.String(), now, reserved); err != nil {
			p.Add(f.path, "%v", err)
		}
	}
	low, high, bounded := strings.Cut(f.tag.Get("range"), "..")
	if !bounded {
		return
	}
	below := low != "" && f.value.Int() < bound(f.value.Type(), low)
	above := high != "" && f.value.Int() > bound(f.value.Type(), high)
	switch {
	case !below && !above:
	case high == "":
		p.Add(f.path, "%v is below %s", f.value.Interface(), low)
	case low == "":
		p.Add(f.path, "%v is above %s", f.value.Interface(), high)
	default:
		p.Add(f.path, "%v is not within %s..%s", f.value.Interface(), low, high)
	}
}

// CheckValue returns an error if text is not one of values. The error lists the values, and names the one that was
// probably meant. reserved are the values of a later version.
func CheckValue(text string, values, reserved []string) error {
	switch {
	case slices.Contains(values, text):
		return nil
	case slices.Contains(reserved, text):
		return fmt.Errorf("%q is not available in this version: want %s", text, List(values))
	}
	return fmt.Errorf("%q is not one of %s%s", Short(text), List(values), DidYouMean(text, slices.Concat(values, reserved)))
}

// bound returns a bound of a range of type t. The tests of package config read every bound.
func bound(t reflect.Type, text string) int64 {
	value := reflect.New(t)
	var n int64
	var err error
	switch into, ok := value.Interface().(encoding.TextUnmarshaler); {
	case ok:
		err = into.UnmarshalText([]byte(text))
		n = value.Elem().Int()
	case t == reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = int64(d)
	default:
		n, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		panic(fmt.Sprintf("setting: bound of a range of %s: %v", t, err))
	}
	return n
}
