#include "kernel.h"
#include "picture.h"

#include <string.h>

int kvsf_plain_only; /* set by tests, to compare the two sets of loops */

void kvsf_copy(kvsf_plane *d, const kvsf_plane *s)
{
	for (ptrdiff_t y = 0; y < s->h; y++)
		memcpy(d->data + y * d->stride, s->data + y * s->stride, s->w);
}

void kvsf_set(kvsf_plane *d, uint8_t value)
{
	for (ptrdiff_t y = 0; y < d->h; y++)
		memset(d->data + y * d->stride, value, d->w);
}

INLINE void narrow_body(kvsf_plane *d, const kvsf_plane *s, uint32_t gain)
{
	for (ptrdiff_t y = 0; y < d->h; y++) {
		uint8_t *restrict to = d->data + y * d->stride;
		const uint16_t *restrict from = (const uint16_t *)(s->data + y * s->stride);
		for (int x = 0; x < d->w; x++) {
			uint32_t v = (from[x] * gain + (1 << 21)) >> 22;
			to[x] = v > 255 ? 255 : v;
		}
	}
}

/* kvsf_narrow reduces samples of more than 8 bits to 8; gain has 22 fraction bits. */
#define kvsf_narrow_body narrow_body
KERNEL(kvsf_narrow, (kvsf_plane * d, const kvsf_plane *s, uint32_t gain), (d, s, gain))

/* fill_bytes and fill_words write the line between the lines b and c of a field, by a cubic through four lines. */
#define FILL_LINE(name, sample)                                                                                                    \
	INLINE void name(sample *restrict to, const sample *restrict a, const sample *restrict b, const sample *restrict c, const sample *restrict d, \
			 int n, int most)                                                                                          \
	{                                                                                                                          \
		for (int x = 0; x < n; x++) {                                                                                      \
			int v = (9 * (b[x] + c[x]) - a[x] - d[x] + 8) >> 4;                                                        \
			to[x] = v < 0 ? 0 : v > most ? most : v;                                                                   \
		}                                                                                                                  \
	}
FILL_LINE(fill_bytes, uint8_t)
FILL_LINE(fill_words, uint16_t)

INLINE void one_field_body(kvsf_plane *d, const kvsf_plane *s, int parity, int most)
{
	const int size = most > 255 ? 2 : 1, last = s->h - 1 - ((s->h - 1 - parity) & 1);
	for (int y = 0; y < s->h; y++) {
		uint8_t *to = d->data + y * d->stride;
		if ((y & 1) == parity) {
			memcpy(to, s->data + y * s->stride, (size_t)s->w * size);
			continue;
		}
		const uint8_t *line[4];
		for (int i = 0; i < 4; i++) {
			int from = y - 3 + 2 * i;
			line[i] = s->data + (from < parity ? parity : from > last ? last : from) * s->stride;
		}
		if (size == 1)
			fill_bytes(to, line[0], line[1], line[2], line[3], s->w, most);
		else
			fill_words((uint16_t *)to, (const uint16_t *)line[0], (const uint16_t *)line[1], (const uint16_t *)line[2],
				   (const uint16_t *)line[3], s->w, most);
	}
}

/* kvsf_one_field keeps the lines of one field and interpolates those between. The plane has at least two lines. */
#define kvsf_one_field_body one_field_body
KERNEL(kvsf_one_field, (kvsf_plane * d, const kvsf_plane *s, int parity, int most), (d, s, parity, most))

INLINE void blend_row(uint16_t *restrict to, const uint8_t *restrict near, const uint8_t *restrict far, int n)
{
	for (int x = 0; x < n; x++)
		to[x] = 3 * near[x] + far[x];
}

/* double_left and double_centre take rows of samples times 4, with one more sample at each end. */
INLINE void double_left(uint8_t *restrict to, const uint16_t *restrict v, int pairs)
{
	for (int x = 0; x < pairs; x++) {
		to[2 * x] = (v[x] + 2) >> 2;
		to[2 * x + 1] = (v[x] + v[x + 1] + 4) >> 3;
	}
}

INLINE void double_centre(uint8_t *restrict to, const uint16_t *restrict v, int pairs)
{
	for (int x = 0; x < pairs; x++) {
		to[2 * x] = (3 * v[x] + v[x - 1] + 8) >> 4;
		to[2 * x + 1] = (3 * v[x] + v[x + 1] + 8) >> 4;
	}
}

INLINE void double_body(kvsf_plane *d, const kvsf_plane *s, int left, int vertical, uint16_t *scratch)
{
	uint16_t *row = scratch + 1;
	const int n = (d->w + 1) / 2;
	uint8_t *whole = (uint8_t *)(row + n + 1); /* the last pair of an odd width does not fit the target */
	for (int y = 0; y < d->h; y++) {
		int near = vertical ? y / 2 : y, far = !vertical ? y : y & 1 ? near + 1 : near - 1;
		far = far < 0 ? 0 : far >= s->h ? s->h - 1 : far;
		blend_row(row, s->data + near * s->stride, s->data + far * s->stride, n);
		row[-1] = row[0];
		row[n] = row[n - 1];
		uint8_t *to = d->data + y * d->stride, *out = d->w & 1 ? whole : to;
		if (left)
			double_left(out, row, n);
		else
			double_centre(out, row, n);
		if (d->w & 1)
			memcpy(to, whole, d->w);
	}
}

/* kvsf_double makes a plane of chroma twice as wide, and twice as high if vertical, by linear interpolation. If left is set,
 * each sample lies on the left one of its two columns, else between them. Scratch has five bytes for each column and 16 more. */
#define kvsf_double_body double_body
KERNEL(kvsf_double, (kvsf_plane * d, const kvsf_plane *s, int left, int vertical, uint16_t *scratch), (d, s, left, vertical, scratch))

INLINE void interleave_body(kvsf_plane *d, const kvsf_plane *u, const kvsf_plane *v)
{
	for (ptrdiff_t y = 0; y < u->h; y++) {
		uint8_t *restrict to = d->data + y * d->stride;
		const uint8_t *restrict a = u->data + y * u->stride, *restrict b = v->data + y * v->stride;
		for (int x = 0; x < u->w; x++) {
			to[2 * x] = a[x];
			to[2 * x + 1] = b[x];
		}
	}
}

#define kvsf_interleave_body interleave_body
KERNEL(kvsf_interleave, (kvsf_plane * d, const kvsf_plane *u, const kvsf_plane *v), (d, u, v))

/* kvsf_turn mirrors a plane along x, y or both, after swapping rows and columns if swap. */
void kvsf_turn(kvsf_plane *d, const kvsf_plane *s, int swap, int flip_x, int flip_y)
{
	enum { BLOCK = 32 }; /* columns at a time, so that the lines they touch stay in the cache */
	ptrdiff_t dx = swap ? s->stride : 1, dy = swap ? 1 : s->stride;
	const uint8_t *from = s->data;
	if (flip_x) {
		from += dx * (d->w - 1);
		dx = -dx;
	}
	if (flip_y) {
		from += dy * (d->h - 1);
		dy = -dy;
	}
	for (int x0 = 0; x0 < d->w; x0 += BLOCK) {
		int x1 = x0 + BLOCK < d->w ? x0 + BLOCK : d->w;
		for (ptrdiff_t y = 0; y < d->h; y++)
			for (ptrdiff_t x = x0; x < x1; x++)
				d->data[y * d->stride + x] = from[x * dx + y * dy];
	}
}
