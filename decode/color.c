#include "kernel.h"
#include "picture.h"

/* The arithmetic of color.go, in 16 bits: values in 1/64 of a level, gains with 15
 * fraction bits, the weights of chroma with 14. */

INLINE int16_t weigh(int16_t chroma, int16_t weight) { return high((int16_t)(chroma * 256), weight); }

/* luma is at most 255, its gain below 2. The result is relative to level 128. */
INLINE int16_t gained(uint8_t luma, uint16_t gain, int16_t base) { return (int16_t)(uhigh((uint16_t)(luma * 128), gain) + base); }

INLINE uint8_t level(int16_t v) { return clip8((v >> 6) + 128); }

INLINE void luma_row(uint8_t *restrict dst, const uint8_t *restrict src, const int16_t *restrict add, int n, uint16_t gain)
{
	for (int i = 0; i < n; i++)
		dst[i] = level(gained(src[i], gain, add[i]));
}

INLINE void gray_row(uint8_t *restrict dst, const uint8_t *restrict src, int n, uint16_t gain, int16_t base)
{
	for (int i = 0; i < n; i++)
		dst[i] = level(gained(src[i], gain, base));
}

INLINE void chroma_row(uint8_t *restrict d, const uint8_t *restrict u, const uint8_t *restrict v, int n, int16_t from_u, int16_t from_v)
{
	for (int i = 0; i < n; i++)
		d[i] = level((int16_t)(weigh(u[i] - 128, from_u) + weigh(v[i] - 128, from_v) + 32));
}

/* add_row stores what the old chroma adds to luma, once for each of two columns. */
INLINE void add_row(int16_t *restrict add, const uint8_t *restrict u, const uint8_t *restrict v, int n, const kvsf_matrix *m)
{
	const int16_t from_u = m->y_from_u, from_v = m->y_from_v, base = m->y_base;
	for (int i = 0; i < n; i++) {
		int16_t a = (int16_t)(weigh(u[i] - 128, from_u) + weigh(v[i] - 128, from_v) + base);
		add[2 * i] = a;
		add[2 * i + 1] = a;
	}
}

INLINE void convert_body(kvsf_plane *d, const kvsf_plane *s, const kvsf_matrix *m, int16_t *add)
{
	const int w = s[0].w, h = s[0].h, chroma = s[1].w;
	const int mixed = m->y_from_u || m->y_from_v;
	for (ptrdiff_t y = 0; y < s[1].h; y++) {
		const uint8_t *u = s[1].data + y * s[1].stride, *v = s[2].data + y * s[2].stride;
		chroma_row(d[1].data + y * d[1].stride, u, v, chroma, m->u_from_u, m->u_from_v);
		chroma_row(d[2].data + y * d[2].stride, u, v, chroma, m->v_from_u, m->v_from_v);
		if (mixed)
			add_row(add, u, v, chroma, m);
		for (ptrdiff_t r = 2 * y; r < 2 * y + 2 && r < h; r++) {
			uint8_t *to = d[0].data + r * d[0].stride;
			const uint8_t *from = s[0].data + r * s[0].stride;
			if (mixed)
				luma_row(to, from, add, w, m->y_gain);
			else
				gray_row(to, from, w, m->y_gain, m->y_base);
		}
	}
}

/* kvsf_convert converts 4:2:0 planes to another colorimetry. Scratch holds a row of luma and one more sample, of 16 bits each. */
#define kvsf_convert_body convert_body
KERNEL(kvsf_convert, (kvsf_plane * d, const kvsf_plane *s, const kvsf_matrix *m, int16_t *scratch), (d, s, m, scratch))

INLINE void stretch_body(kvsf_plane *d, const kvsf_plane *s, uint16_t gain, int16_t base)
{
	for (ptrdiff_t y = 0; y < s->h; y++)
		gray_row(d->data + y * d->stride, s->data + y * s->stride, s->w, gain, base);
}

/* kvsf_stretch converts one plane of luma to another range. */
#define kvsf_stretch_body stretch_body
KERNEL(kvsf_stretch, (kvsf_plane * d, const kvsf_plane *s, uint16_t gain, int16_t base), (d, s, gain, base))

/* The weights of v in red and of u in blue lie between 1 and 3, and are stored less 1. */
INLINE void rgb_row(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, const uint8_t *restrict y, const uint8_t *restrict u,
		    const uint8_t *restrict v, int n, const kvsf_rgb *m)
{
	const uint16_t gain = m->y_gain;
	const int16_t base = m->base, rv = m->r_from_v, gu = m->g_from_u, gv = m->g_from_v, bu = m->b_from_u;
	for (int i = 0; i < n; i++) {
		int16_t cu = u[i] - 128, cv = v[i] - 128, l = gained(y[i], gain, base);
		r[i] = level((int16_t)(l + (int16_t)(cv * 64) + weigh(cv, rv)));
		g[i] = level((int16_t)(l + weigh(cu, gu) + weigh(cv, gv)));
		b[i] = level((int16_t)(l + (int16_t)(cu * 64) + weigh(cu, bu)));
	}
}

/* If both chromas contribute to all three colours, all weights are below 2. */
INLINE void mixed_rgb_row(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, const uint8_t *restrict y, const uint8_t *restrict u,
			  const uint8_t *restrict v, int n, const kvsf_rgb *m)
{
	for (int i = 0; i < n; i++) {
		int16_t cu = u[i] - 128, cv = v[i] - 128, l = gained(y[i], m->y_gain, m->base);
		r[i] = level((int16_t)(l + weigh(cu, m->r_from_u) + weigh(cv, m->r_from_v)));
		g[i] = level((int16_t)(l + weigh(cu, m->g_from_u) + weigh(cv, m->g_from_v)));
		b[i] = level((int16_t)(l + weigh(cu, m->b_from_u) + weigh(cv, m->b_from_v)));
	}
}

INLINE void pack_row(uint8_t *restrict d, const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c, int n)
{
	for (int i = 0; i < n; i++) {
		d[3 * i] = a[i];
		d[3 * i + 1] = b[i];
		d[3 * i + 2] = c[i];
	}
}

INLINE void rgb_body(kvsf_plane *d, const kvsf_plane *s, const kvsf_rgb *m, int bgr, uint8_t *scratch)
{
	const int n = s[0].w;
	uint8_t *r = scratch, *g = r + n, *b = g + n;
	for (ptrdiff_t y = 0; y < s[0].h; y++) {
		const uint8_t *luma = s[0].data + y * s[0].stride, *u = s[1].data + y * s[1].stride, *v = s[2].data + y * s[2].stride;
		if (m->mixed)
			mixed_rgb_row(r, g, b, luma, u, v, n, m);
		else
			rgb_row(r, g, b, luma, u, v, n, m);
		pack_row(d->data + y * d->stride, bgr ? b : r, g, bgr ? r : b, n);
	}
}

/* kvsf_to_rgb converts 4:4:4 planes to packed RGB; scratch holds three rows of bytes. */
#define kvsf_to_rgb_body rgb_body
KERNEL(kvsf_to_rgb, (kvsf_plane * d, const kvsf_plane *s, const kvsf_rgb *m, int bgr, uint8_t *scratch), (d, s, m, bgr, scratch))
