package kvstest

import (
	"cmp"
	"context"
)

// disturb applies the faults before chunk c is sent. end reports whether the session ends, skip whether the
// chunk is left out.
func (m *session) disturb(ctx context.Context, c *chunk) (end, skip bool, err error) {
	for _, f := range m.x.plan.idle {
		if m.fragments >= f.Fragments {
			m.s.fire(f, m.x)
			return true, false, sleep(ctx, cmp.Or(f.For, m.s.opts.IdleEnd))
		}
	}
	for i, f := range m.x.plan.tag {
		if m.fragments < f.Fragments {
			continue
		}
		m.x.plan.tag = append(m.x.plan.tag[:i:i], m.x.plan.tag[i+1:]...)
		m.s.fire(f, m.x)
		if _, err := m.x.w.Write(errorChunk(c.number, f.ID, f.Code)); err != nil {
			return false, false, err
		}
		return !f.Skip, f.Skip, nil
	}
	return false, m.s.lacks(m.x, c.number), nil
}

// errorChunk returns the chunk in place of a fragment that cannot be read.
func errorChunk(number string, id int, code string) []byte {
	return AppendChunk(nil, Chunk{
		FragmentNumber: number,
		ErrorID:        id,
		ErrorCode:      cmp.Or(code, tagCodes[id], "INTERNAL_ERROR"),
	})
}
