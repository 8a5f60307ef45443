#include "measure.h"

#include <string.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

int kvsf_measure_plain;

/* Rows are added up first: of each column of a block one sum is left. This reads each sample once and is most of the work. A
 * strip of such sums, which stays in the first cache, is then added up along x. */
enum {
	STRIP = 2048, /* columns that are added up at a time, or less */
	SPARE = 192,  /* sums behind a strip, all 0, that may be read: more than the largest factor */
	LINE = 64,    /* bytes of a row that are read at a time */
};

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t words8 __attribute__((vector_size(16))), words16 __attribute__((vector_size(32)));
typedef uint32_t longs8 __attribute__((vector_size(32)));

/* LOAD reads a vector of a type from anywhere. */
#define LOAD(type, from)                                  \
	({                                                \
		type v_;                                  \
		memcpy(&v_, (from), sizeof(type));        \
		v_;                                       \
	})

/* add_bytes and add_words add up n columns of some rows. They prefetch the rows below, which are too far away for the processor's
 * own prefetching. A vector of samples has 16 bytes; wide is the type of the sums of one. */
#define ADD(name, sum, sample, vector, wide)                                                                \
	INLINE void name(sum *sums, const uint8_t *data, ptrdiff_t stride, int n, int rows)                 \
	{                                                                                                   \
		enum { EACH = 16 / sizeof(sample), line = LINE / sizeof(sample) };                          \
		int x = 0;                                                                                  \
		for (; x + line <= n; x += line) {                                                          \
			wide a = {0}, b = a, c = a, d = a;                                                  \
			for (ptrdiff_t y = 0; y < rows; y++) {                                              \
				const uint8_t *at = data + y * stride + x * sizeof(sample);                 \
				__builtin_prefetch(at + rows * stride);                                     \
				a += __builtin_convertvector(LOAD(vector, at), wide);                       \
				b += __builtin_convertvector(LOAD(vector, at + 16), wide);                  \
				c += __builtin_convertvector(LOAD(vector, at + 32), wide);                  \
				d += __builtin_convertvector(LOAD(vector, at + 48), wide);                  \
			}                                                                                   \
			memcpy(sums + x, &a, sizeof(a));                                                    \
			memcpy(sums + x + EACH, &b, sizeof(b));                                             \
			memcpy(sums + x + 2 * EACH, &c, sizeof(c));                                         \
			memcpy(sums + x + 3 * EACH, &d, sizeof(d));                                         \
		}                                                                                           \
		for (; x < n; x++) {                                                                        \
			sums[x] = 0;                                                                        \
			for (ptrdiff_t y = 0; y < rows; y++)                                                \
				sums[x] += ((const sample *)(data + y * stride))[x];                        \
		}                                                                                           \
	}
ADD(add_bytes, uint16_t, uint8_t, bytes16, words16)
ADD(add_words, uint32_t, uint16_t, words8, longs8)

/* join_plain and join_longs add up each factor sums to one. */
#define JOIN(name, sum)                                                            \
	INLINE void name(uint32_t *out, const sum *sums, int n, int factor)        \
	{                                                                          \
		for (int x = 0; x < n; x++, sums += factor) {                      \
			uint32_t all = 0;                                          \
			for (int i = 0; i < factor; i++)                           \
				all += sums[i];                                    \
			out[x] = all;                                              \
		}                                                                  \
	}
JOIN(join_plain, uint16_t)
JOIN(join_longs, uint32_t)

#ifdef __x86_64__
/* join_taps is join_plain for sums that are signed words: four at a time, of taps columns of which the first ones count. */
INLINE void join_taps(uint32_t *out, const uint16_t *sums, const int16_t *ones, int n, int factor, const int taps)
{
	for (int x = 0; x < n; x += 4) {
		__m128i p[4];
		for (int k = 0; k < 4; k++, sums += factor) {
			p[k] = _mm_madd_epi16(_mm_loadu_si128((const __m128i *)sums), _mm_loadu_si128((const __m128i *)ones));
			for (int i = 8; i < taps; i += 8)
				p[k] = _mm_add_epi32(p[k], _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(sums + i)), _mm_loadu_si128((const __m128i *)(ones + i))));
		}
		__m128i a = _mm_add_epi32(_mm_unpacklo_epi32(p[0], p[1]), _mm_unpackhi_epi32(p[0], p[1]));
		__m128i b = _mm_add_epi32(_mm_unpacklo_epi32(p[2], p[3]), _mm_unpackhi_epi32(p[2], p[3]));
		_mm_storeu_si128((__m128i *)(out + x), _mm_add_epi32(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b)));
	}
}

INLINE void join_words(uint32_t *out, const uint16_t *sums, int n, int factor)
{
	int16_t ones[SPARE] = {0};
	for (int i = 0; i < factor; i++)
		ones[i] = 1;
	if (factor > INT16_MAX / 255)
		join_plain(out, sums, n, factor);
	else if (factor <= 8)
		join_taps(out, sums, ones, n, factor, 8);
	else if (factor <= 16)
		join_taps(out, sums, ones, n, factor, 16);
	else
		join_taps(out, sums, ones, n, factor, (factor + 7) & ~7);
}
#else
#define join_words join_plain
#endif

/* A level is converted as range * sum + offset, rounded down. */
typedef struct {
	double range, offset;
} scale;

/* scale_of returns the scale of sums of n samples. With black and white as such sums, an exact result is a multiple of 1/(2 * (white - black)),
 * which is more than 2^-33. Half of that is added, so that what is rounded down is never within 2^-34 of a whole number: the errors of the
 * doubles are less than 2^-42, and results are those of exact arithmetic, with or without fused operations. */
INLINE scale scale_of(int depth, int full, int n)
{
	const double black = full ? 0 : (double)(16 << (depth - 8)) * n, white = (double)(full ? (1 << depth) - 1 : 235 << (depth - 8)) * n;
	return (scale){255 / (white - black), 0.5 + (0.25 - 255 * black) / (white - black)};
}

INLINE void convert(uint8_t *restrict dst, const uint32_t *restrict sums, int n, scale s)
{
	for (int x = 0; x < n; x++) {
		const int32_t v = (int32_t)((int32_t)sums[x] * s.range + s.offset);
		dst[x] = v < 0 ? 0 : v > 255 ? 255 : v;
	}
}

INLINE void shrink_body(uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor)
{
	_Alignas(32) uint32_t words[STRIP + SPARE]; /* or twice as many sums of 16 bits */
	uint32_t sums[STRIP + 4];
	uint16_t *halves = (uint16_t *)words;
	const int sw = (w - 1) / factor + 1, part = w - (sw - 1) * factor, strip = STRIP / factor;
	for (int y = 0; y < h; y += factor, data += factor * stride, dst += sw) {
		const int rows = h - y < factor ? h - y : factor;
		const scale whole = scale_of(depth, full, factor * rows), last = scale_of(depth, full, part * rows);
		for (int x = 0; x < sw; x += strip) {
			const int n = sw - x < strip ? sw - x : strip, first = x * factor, columns = w - first < n * factor ? w - first : n * factor;
			if (depth > 8) {
				add_words(words, data + 2 * first, stride, columns, rows);
				memset(words + columns, 0, SPARE * sizeof(*words));
				join_longs(sums, words, n, factor);
			} else {
				add_bytes(halves, data + first, stride, columns, rows);
				memset(halves + columns, 0, SPARE * sizeof(*halves));
				join_words(sums, halves, n, factor);
			}
			convert(dst + x, sums, n, whole);
		}
		convert(dst + sw - 1, sums + (sw - 1) % strip, 1, last);
	}
}

#define kvsf_shrink_body shrink_body
KERNEL(void, kvsf_shrink, (uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor),
       (dst, data, stride, w, h, depth, full, factor))

INLINE int cell_begin(int i, int n) { return (int)((int64_t)i * n / KVSF_CELLS); }
INLINE int cell_end(int i, int n)
{
	const int begin = cell_begin(i, n), end = cell_begin(i + 1, n);
	return end > begin ? end : begin + 1;
}

INLINE void cells_body(int32_t *means, const uint8_t *p, int w, int h)
{
	enum { ROWS = 257 }; /* of bytes, whose sum has 16 bits */
	uint16_t strip[STRIP];
	for (int j = 0; j < KVSF_CELLS; j++) {
		const int top = cell_begin(j, h), bottom = cell_end(j, h);
		uint64_t sums[KVSF_CELLS] = {0};
		for (int y = top; y < bottom; y += ROWS)
			for (int x = 0; x < w; x += STRIP) {
				const int rows = bottom - y < ROWS ? bottom - y : ROWS, end = w - x < STRIP ? w : x + STRIP;
				add_bytes(strip, p + (ptrdiff_t)y * w + x, w, end - x, rows);
				for (int i = 0; i < KVSF_CELLS; i++)
					for (int k = cell_begin(i, w) > x ? cell_begin(i, w) : x; k < cell_end(i, w) && k < end; k++)
						sums[i] += strip[k - x];
			}
		for (int i = 0; i < KVSF_CELLS; i++) {
			const uint64_t n = (uint64_t)(bottom - top) * (cell_end(i, w) - cell_begin(i, w));
			means[j * KVSF_CELLS + i] = (int32_t)((16 * sums[i] + n / 2) / n);
		}
	}
}

#define kvsf_cells_body cells_body
KERNEL(void, kvsf_cells, (int32_t *means, const uint8_t *p, int w, int h), (means, p, w, h))
