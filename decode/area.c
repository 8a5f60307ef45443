#include "kernel.h"
#include "picture.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Averages over areas. First, rows are added up with integer weights to one row as
 * wide as the source. This reads each sample once and is most of the work. Then that
 * row is averaged along x and divided by the sum of all weights, with one rounding.
 * area.go computes the weights. */

/* ahead prefetches the rows below, which are too far away for the processor's own prefetching. */
INLINE void ahead(const void *row, ptrdiff_t stride, int rows)
{
	for (int i = 0; i < rows; i++)
		__builtin_prefetch((const char *)row + (rows + i) * stride);
}

/* add1, add2 and add4 add weighted rows to acc or, if begin is set, to base. */
#define ADD_SPAN(from, to, operation, expression) \
	for (int x = from; x < to; x++)           \
		acc[x] operation expression;
#define ADD_ROW(sample, n_rows, operation, expression)                             \
	do {                                                                       \
		const int line = 64 / sizeof(sample);                              \
		int at = 0;                                                        \
		for (; at + line <= n; at += line) {                               \
			ahead(r0 + at, stride * sizeof(sample), n_rows);           \
			ADD_SPAN(at, at + line, operation, expression)             \
		}                                                                  \
		ADD_SPAN(at, n, operation, expression)                             \
	} while (0)
#define ADD(name, sample, sum, n_rows, expression)                                                                         \
	INLINE void name(sum *restrict acc, const sample *restrict r0, ptrdiff_t stride, const uint32_t *k, sum base, int begin, int n) \
	{                                                                                                                  \
		const sample *restrict r1 = r0 + (n_rows > 1 ? stride : 0), *restrict r2 = r0 + (n_rows > 2 ? 2 * stride : 0), \
			     *restrict r3 = r0 + (n_rows > 3 ? 3 * stride : 0);                                            \
		const sum k0 = k[0], k1 = n_rows > 1 ? k[1] : 0, k2 = n_rows > 2 ? k[2] : 0, k3 = n_rows > 3 ? k[3] : 0;       \
		(void)r1, (void)r2, (void)r3, (void)k1, (void)k2, (void)k3;                                                \
		if (begin)                                                                                                 \
			ADD_ROW(sample, n_rows, =, base + expression);                                                     \
		else                                                                                                       \
			ADD_ROW(sample, n_rows, +=, expression);                                                           \
	}

#define ROWS(name, sample, sum)                                                                                            \
	ADD(name##1, sample, sum, 1, (sum)(k0 * r0[x]))                                                                    \
	ADD(name##2, sample, sum, 2, (sum)(k0 * r0[x]) + (sum)(k1 * r1[x]))                                                \
	ADD(name##4, sample, sum, 4, (sum)(k0 * r0[x]) + (sum)(k1 * r1[x]) + (sum)(k2 * r2[x]) + (sum)(k3 * r3[x]))        \
	INLINE void name(sum *acc, const sample *src, ptrdiff_t stride, const kvsf_span *s, sum base, int n)               \
	{                                                                                                                  \
		src += s->first * stride;                                                                                  \
		for (int y = 0; y < s->count;) {                                                                           \
			int left = s->count - y;                                                                           \
			uint32_t k[4] = {s->inner, s->inner, s->inner, s->inner};                                          \
			int step = left >= 4 ? 4 : left >= 2 ? 2 : 1;                                                      \
			if (y == 0)                                                                                        \
				k[0] = s->head;                                                                            \
			if (y + step == s->count && s->count > 1)                                                          \
				k[step - 1] = s->tail;                                                                     \
			if (step == 4)                                                                                     \
				name##4(acc, src + y * stride, stride, k, base, y == 0, n);                                \
			else if (step == 2)                                                                                \
				name##2(acc, src + y * stride, stride, k, base, y == 0, n);                                \
			else                                                                                               \
				name##1(acc, src + y * stride, stride, k, base, y == 0, n);                                \
			y += step;                                                                                         \
		}                                                                                                          \
	}

ROWS(add_bytes, uint8_t, uint16_t)
ROWS(add_words, uint16_t, uint32_t)

/* dots4 computes four sums of products, of n pairs each; n is a multiple of 8. */
#ifdef __SSE2__
INLINE void dots4(uint32_t *out, const int16_t *row, const int32_t *starts, const int16_t *w, int n)
{
	__m128i p[4];
	for (int k = 0; k < 4; k++) {
		const int16_t *r = row + starts[k];
		p[k] = _mm_setzero_si128();
		for (int i = 0; i < n; i += 8, w += 8)
			p[k] = _mm_add_epi32(p[k], _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(r + i)), _mm_loadu_si128((const __m128i *)w)));
	}
	__m128i a = _mm_add_epi32(_mm_unpacklo_epi32(p[0], p[1]), _mm_unpackhi_epi32(p[0], p[1]));
	__m128i b = _mm_add_epi32(_mm_unpacklo_epi32(p[2], p[3]), _mm_unpackhi_epi32(p[2], p[3]));
	__m128i sum = _mm_add_epi32(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
	_mm_storeu_si128((__m128i *)out, _mm_add_epi32(sum, _mm_set1_epi32(1 << 29)));
}
#else
INLINE void dots4(uint32_t *out, const int16_t *row, const int32_t *starts, const int16_t *w, int n)
{
	for (int k = 0; k < 4; k++, w += n) {
		const int16_t *r = row + starts[k];
		int32_t sum = 0;
		for (int i = 0; i < n; i++)
			sum += r[i] * w[i];
		out[k] = (uint32_t)(sum + (1 << 29));
	}
}
#endif

/* across averages along x. The row holds sums less 1 << 15, so that they are signed
 * 16-bit values. The weights of each target sum up to 1 << 14. The number of targets
 * is rounded up to a multiple of 4. */
INLINE void across(uint32_t *out, const int16_t *row, const int32_t *starts, const int16_t *weights, int taps, int count)
{
	for (int x = 0; x < count; x += 4) {
		const int16_t *w = weights + (ptrdiff_t)x * taps;
		if (taps == 8)
			dots4(out + x, row, starts + x, w, 8);
		else if (taps == 16)
			dots4(out + x, row, starts + x, w, 16);
		else
			dots4(out + x, row, starts + x, w, taps);
	}
}

INLINE void divide(uint8_t *restrict dst, const uint32_t *restrict sum, uint32_t norm, int n)
{
	for (int x = 0; x < n; x++) {
		uint32_t v = (uint32_t)(((uint64_t)sum[x] * norm + ((uint64_t)1 << 44)) >> 45);
		dst[x] = v > 255 ? 255 : v; /* the largest value of 10 bits is 255.75 */
	}
}

INLINE void area_body(kvsf_plane *d, const kvsf_plane *s, const kvsf_span *rows, const int32_t *starts, const int16_t *weights, int taps, uint32_t gain,
		      void *scratch)
{
	uint32_t *sums = scratch, *words = sums + d->w + 3;
	int16_t *row = (int16_t *)(words + (gain ? s->w : 0));
	memset(row + s->w, 0, taps * sizeof(*row));
	for (ptrdiff_t y = 0; y < d->h; y++) {
		if (gain) { /* more than 8 bits: sums of 32 bits, reduced to 16 */
			add_words(words, (const uint16_t *)s->data, s->stride / 2, &rows[y], 0, s->w);
			const uint64_t norm = rows[y].norm;
			for (int x = 0; x < s->w; x++)
				row[x] = (int16_t)((int32_t)((words[x] * norm + ((uint64_t)1 << 31)) >> 32) - (1 << 15));
		} else {
			add_bytes((uint16_t *)row, s->data, s->stride, &rows[y], 1 << 15, s->w);
		}
		across(sums, row, starts, weights, taps, d->w);
		divide(d->data + y * d->stride, sums, gain ? gain : rows[y].norm, d->w);
	}
}

/* kvsf_area scales s to d. The starts are relative to the first column of s; rows may lie beyond s->h. If gain is not 0, the
 * samples of s have more than 8 bits, and gain reduces them to 8. Starts and weights are padded to a multiple of 4 targets.
 * Scratch has 4 bytes for each column of d, 6 for each column of s, 2 for each tap, and 16 more. */
#define kvsf_area_body area_body
KERNEL(kvsf_area,
       (kvsf_plane * d, const kvsf_plane *s, const kvsf_span *rows, const int32_t *starts, const int16_t *weights, int taps, uint32_t gain, void *scratch),
       (d, s, rows, starts, weights, taps, gain, scratch))
