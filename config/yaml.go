package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a file, each checked before the work that it bounds.
const (
	// maxFileSize is the largest pipeline.yaml that is read, in bytes.
	maxFileSize = 1 << 20
	// maxTokens bounds the work of the YAML parser: its time grows with the square of the number of tokens, and its
	// stack with the nesting that they can express.
	maxTokens = 20000
	// maxDepth is the deepest nesting of a document; the deepest key has depth 5.
	maxDepth = 32
	// maxNodes is the largest number of values with all aliases expanded.
	maxNodes = 20000
)

// position is a place in a file, or a layer without lines.
type position struct {
	file         string
	line, column int
}

type shape uint8

const (
	shapeNull shape = iota
	shapeText
	shapeNumber
	shapeBool
	shapeList
	shapeMapping
)

func (s shape) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a mapping"}[s]
}

// node is one YAML value with its place: the parser's tree without anchors, aliases, merges and styles.
type node struct {
	at    position
	shape shape
	// text is a scalar as written, without quotes.
	text string
	// refused reports whether a problem with the value was already reported.
	refused bool
	items   []*node
	fields  []field
}

// field is one key of a mapping.
type field struct {
	key   string
	at    position
	value *node
}

func (n *node) field(key string) *field {
	for i := range n.fields {
		if n.fields[i].key == key {
			return &n.fields[i]
		}
	}
	return nil
}

// reader turns the parser's tree into nodes.
type reader struct {
	file     string
	data     []byte
	anchors  map[string]*node
	nodes    int
	problems Problems
}

// parseYAML reads one document. If there are no problems, the node is not nil.
func parseYAML(file string, data []byte) (*node, Problems) {
	r := &reader{file: file, data: data, anchors: map[string]*node{}}
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxTokens {
		r.add(position{file: file}, "", "the file has %d YAML tokens, maximum is %d", len(tokens), maxTokens)
		return nil, r.problems
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil, r.problems
	}
	root := r.document(tree)
	return root, r.problems
}

func (r *reader) add(at position, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: at.file, Line: at.line, Column: at.column, Key: key, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) syntax(err error) {
	at, message := position{file: r.file}, err.Error()
	if detail, ok := errors.AsType[yaml.Error](err); ok {
		at, message = r.at(detail.GetToken()), detail.GetMessage()
	}
	if hint := syntaxHint(r.data, at.line, at.column, message); hint != "" {
		message = hint
	}
	r.add(at, "", "not valid YAML: %s", message)
}

func (r *reader) at(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{file: r.file}
	}
	return position{file: r.file, line: t.Position.Line, column: t.Position.Column}
}

// document returns the only document of the file; an empty file is an empty mapping.
func (r *reader) document(tree *ast.File) *node {
	var root *node
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if doc.Body.Type() == ast.DirectiveType {
			r.add(r.at(doc.Body.GetToken()), "", "YAML directives are not supported")
			continue
		}
		if root != nil {
			r.add(r.at(doc.Body.GetToken()), "", "the file has more than one YAML document")
			break
		}
		root = r.value(doc.Body, "", 0)
	}
	if root == nil {
		root = &node{at: position{file: r.file, line: 1, column: 1}, shape: shapeMapping}
	}
	return root
}

// value turns one value into a node. It never returns nil.
func (r *reader) value(n ast.Node, key string, depth int) *node {
	out := &node{at: position{file: r.file}}
	if n == nil {
		return out
	}
	out.at = r.at(n.GetToken())
	r.nodes++
	if depth > maxDepth || r.nodes > maxNodes {
		if r.nodes <= maxNodes+1 {
			r.add(out.at, key, "the values are nested deeper than %d or more than %d", maxDepth, maxNodes)
		}
		r.nodes = maxNodes + 1 // nothing more is read or reported
		out.refused = true
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		out.shape, out.text = shapeText, n.Value
	case *ast.LiteralNode:
		out.shape, out.text = shapeText, n.Value.Value
	case *ast.IntegerNode:
		out.shape, out.text = shapeNumber, n.Token.Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.shape, out.text = shapeNumber, n.GetToken().Value
	case *ast.BoolNode:
		out.shape, out.text = shapeBool, n.Token.Value
	default:
		return r.structure(n, out, key, depth)
	}
	return out
}

func (r *reader) structure(n ast.Node, out *node, key string, depth int) *node {
	switch n := n.(type) {
	case *ast.SequenceNode:
		out.shape = shapeList
		for i, v := range n.Values {
			if text, ok := unsplit(v); ok {
				r.nodes++
				out.items = append(out.items, &node{at: r.at(v.(*ast.MappingNode).Values[0].Key.GetToken()), shape: shapeText, text: text})
				continue
			}
			out.items = append(out.items, r.value(v, fmt.Sprintf("%s[%d]", key, i), depth+1))
		}
	case *ast.MappingNode:
		r.mapping(n.Values, out, key, depth)
	case *ast.MappingValueNode:
		r.mapping([]*ast.MappingValueNode{n}, out, key, depth)
	case *ast.AnchorNode:
		v := r.value(n.Value, key, depth+1)
		r.anchors[n.Name.GetToken().Value] = v // after its value: an anchor cannot contain itself
		return v
	case *ast.AliasNode:
		return r.alias(n, out, key)
	default:
		out.refused = true
		r.add(out.at, key, "YAML tags and other special forms are not supported")
	}
	return out
}

// unsplit returns plain text that the parser split into a key and a value. In a flow mapping the parser ends
// plain text at any colon, although only a colon before a space ends it (YAML 1.2, rule ns-plain-char). So it
// splits the times of {at: [2026-11-01T00:00:00Z]}.
func unsplit(n ast.Node) (string, bool) {
	m, ok := n.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) != 1 {
		return "", false
	}
	pair := m.Values[0]
	value, scalar := pair.Value.(*ast.StringNode)
	if !scalar || pair.Start == nil || pair.Key.GetToken().Type != token.StringType || value.Token.Type != token.StringType ||
		value.Token.Position.Offset != pair.Start.Position.Offset+1 {
		return "", false
	}
	return pair.Key.GetToken().Value + ":" + value.Value, true
}

// alias returns the anchored value. The value is shared, but counted as a copy, so that nested aliases cannot
// expand to more values than the maximum.
func (r *reader) alias(n *ast.AliasNode, out *node, key string) *node {
	name := n.Value.GetToken().Value
	out.refused = true
	v, ok := r.anchors[name]
	if !ok {
		r.add(out.at, key, "there is no anchor %q before this alias", name)
		return out
	}
	if r.nodes += v.count(maxNodes); r.nodes > maxNodes {
		r.add(out.at, key, "the aliases expand to more than %d values", maxNodes)
		return out
	}
	return v
}

// count returns the number of values in n, or a number above limit.
func (n *node) count(limit int) int {
	total := 1
	for _, v := range n.items {
		if total > limit {
			return total
		}
		total += v.count(limit - total)
	}
	for _, f := range n.fields {
		if total > limit {
			return total
		}
		total += f.value.count(limit - total)
	}
	return total
}

func (r *reader) mapping(values []*ast.MappingValueNode, out *node, key string, depth int) {
	out.shape = shapeMapping
	var merged []*node
	for _, v := range values {
		if v.Key.IsMergeKey() {
			merged = append(merged, r.value(v.Value, key, depth+1))
			continue
		}
		r.field(v, out, key, depth)
	}
	for _, m := range merged {
		r.merge(out, m, key)
	}
}

func (r *reader) field(v *ast.MappingValueNode, out *node, key string, depth int) {
	name, ok := v.Key.(*ast.StringNode)
	at := r.at(v.Key.GetToken())
	if !ok {
		r.add(at, key, "%q is not a key: keys are plain words", v.Key.GetToken().Value)
		return
	}
	path := join(key, name.Value)
	if first := out.field(name.Value); first != nil {
		r.add(at, path, "the key is set twice, first in line %d", first.at.line)
		return
	}
	value := r.value(v.Value, path, depth+1)
	out.fields = append(out.fields, field{key: name.Value, at: at, value: value})
}

// merge adds the fields of a merge key (<<) that out lacks.
func (r *reader) merge(out, from *node, key string) {
	switch from.shape {
	case shapeList:
		for _, item := range from.items {
			r.merge(out, item, key)
		}
	case shapeMapping:
		for _, f := range from.fields {
			if out.field(f.key) == nil {
				out.fields = append(out.fields, f)
			}
		}
	default:
		r.add(from.at, key, "a merge key (<<) needs a mapping, not %s", from.shape)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
