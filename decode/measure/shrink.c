#include "measure.h"

#include <string.h>

int kvsf_measure_most = AVX512;

/* Of a block's rows two are read, at a quarter and at three quarters of its height, or all if there are less than 4. They are added
 * up first: of each column one sum is left. A strip of such sums, which stays in the first cache, is then added up along x. Since that
 * reads no other memory, the next blocks are fetched meanwhile, a line of the cache at a time: all at once would have to be waited for. */
enum {
	STRIP = 2048, /* columns that are added up at a time, or less */
	SPARE = 192,  /* sums behind a strip that may be read: more than the largest factor */
	AHEAD = 1,    /* how many blocks below another one its memory is fetched */
};

/* rows are some that are read: where the first one begins, and how far apart they are. */
typedef struct {
	const uint8_t *at;
	ptrdiff_t stride;
	int n;
} rows;

INLINE rows rows_of(const uint8_t *block, ptrdiff_t stride, int height)
{
	const int above = height / 4;
	return height < 4 ? (rows){block, stride, height} : (rows){block + above * stride, (height - 1 - 2 * above) * stride, 2};
}

/* add_bytes and add_words add up n columns. */
#define ADD(name, sum, sample)                                                                        \
	INLINE void name(sum *restrict sums, rows r, int n)                                           \
	{                                                                                             \
		const sample *a = (const sample *)r.at, *b = (const sample *)(r.at + r.stride);       \
		if (r.n == 1)                                                                         \
			for (int x = 0; x < n; x++)                                                   \
				sums[x] = a[x];                                                       \
		else                                                                                  \
			for (int x = 0; x < n; x++)                                                   \
				sums[x] = a[x] + b[x];                                                \
		for (int y = 2; y < r.n; y++) {                                                       \
			b = (const sample *)(r.at + y * r.stride);                                    \
			for (int x = 0; x < n; x++)                                                   \
				sums[x] += b[x];                                                      \
		}                                                                                     \
	}
ADD(add_bytes, uint16_t, uint8_t)
ADD(add_words, uint32_t, uint16_t)

/* fetch fetches what is x bytes from the beginning of the first and the last of some rows. */
INLINE void fetch(rows r, ptrdiff_t x)
{
	__builtin_prefetch(r.at + x);
	__builtin_prefetch(r.at + (r.n - 1) * r.stride + x);
}

/* join_plain and join_longs add up each factor sums to one, and fetch as many samples of next. */
#define JOIN(name, sum)                                                                 \
	INLINE void name(uint32_t *out, const sum *sums, int n, int factor, rows next) \
	{                                                                               \
		for (int x = 0; x < n; x++, sums += factor) {                           \
			uint32_t all = 0;                                               \
			for (int i = 0; i < factor; i++)                                \
				all += sums[i];                                         \
			out[x] = all;                                                   \
			fetch(next, (ptrdiff_t)x * factor * (sizeof(sum) / 2));         \
		}                                                                       \
	}
JOIN(join_plain, uint16_t)
JOIN(join_longs, uint32_t)

#ifdef __x86_64__
/* join_taps is join_plain for sums that are signed words: four at a time, of taps columns of which the first ones count. */
INLINE void join_taps(uint32_t *out, const uint16_t *sums, const int16_t *ones, int n, int factor, rows next, const int taps)
{
	for (int x = 0; x < n; x += 4) {
		__m128i p[4];
		fetch(next, (ptrdiff_t)x * factor);
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

INLINE void join_words(uint32_t *out, const uint16_t *sums, int n, int factor, rows next)
{
	int16_t ones[SPARE] = {0};
	for (int i = 0; i < factor; i++)
		ones[i] = 1;
	if (factor <= 8)
		join_taps(out, sums, ones, n, factor, next, 8);
	else if (factor <= 16)
		join_taps(out, sums, ones, n, factor, next, 16);
	else
		join_taps(out, sums, ones, n, factor, next, (factor + 7) & ~7);
}
#else
#define join_words join_plain
#endif

/* Blocks of two rows and up to TOGETHER columns are added up without sums of columns: bytes that are not of a block are left out, and an
 * instruction adds up eight bytes at a time. */
enum { EIGHT = 8, TOGETHER = 2 * EIGHT };

/* places are for blocks of some factor of columns, each in one or two parts of eight bytes: where the bytes of these parts come from, and
 * which of them are of the block. */
typedef struct {
	uint8_t at[64];
	uint64_t used;
	int parts;
} places;

INLINE places places_of(int factor)
{
	places p = {.parts = factor <= EIGHT ? 1 : 2};
	for (int i = 0; factor <= TOGETHER && i < 64; i++) {
		const int block = i / (p.parts * EIGHT), column = i % (p.parts * EIGHT), used = column < factor;
		p.at[i] = used ? block * factor + column : 0x80;
		p.used |= (uint64_t)used << i;
	}
	return p;
}

#if defined(__x86_64__) && defined(__GNUC__)
/* join_avx512 adds up n blocks. What is read beyond the columns is 0. */
__attribute__((target(FOR_AVX512))) static int join_avx512(uint32_t *out, rows r, int columns, int n, int factor, const places *p, rows next)
{
	const int blocks = EIGHT / p->parts;
	const __m512i order = _mm512_loadu_si512(p->at), zero = _mm512_setzero_si512();
	const __m256i evens = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
	for (int x = 0; x < n; x += blocks) {
		const int first = x * factor, left = columns - first;
		const __mmask64 some = left < 64 ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
		fetch(next, first);
		const __m512i a = _mm512_maskz_permutexvar_epi8(p->used, order, _mm512_maskz_loadu_epi8(some, r.at + first));
		const __m512i b = _mm512_maskz_permutexvar_epi8(p->used, order, _mm512_maskz_loadu_epi8(some, r.at + r.stride + first));
		const __m512i sums = _mm512_add_epi64(_mm512_sad_epu8(a, zero), _mm512_sad_epu8(b, zero));
		if (p->parts == 1)
			_mm256_storeu_si256((__m256i *)(out + x), _mm512_cvtepi64_epi32(sums));
		else {
			const __m256i all = _mm512_cvtepi64_epi32(_mm512_add_epi64(sums, _mm512_permutex_epi64(sums, 0xb1)));
			_mm_storeu_si128((__m128i *)(out + x), _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(all, evens)));
		}
	}
	return n;
}

__attribute__((target("avx2"))) INLINE __m256i eights_avx2(const uint8_t *p, int step, __m256i order)
{
	const __m128i low = _mm_loadu_si128((const __m128i *)p), high = _mm_loadu_si128((const __m128i *)(p + step));
	return _mm256_sad_epu8(_mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), order), _mm256_setzero_si256());
}

/* rows_avx2 returns sums of eight bytes: of 16 bytes of both rows each, and of those step bytes behind them. */
__attribute__((target("avx2"))) INLINE __m256i rows_avx2(rows r, ptrdiff_t x, int step, __m256i order)
{
	return _mm256_add_epi64(eights_avx2(r.at + x, step, order), eights_avx2(r.at + r.stride + x, step, order));
}

/* join_avx2 adds up the first blocks, and returns how many: not those whose 16 bytes may be beyond the columns. */
__attribute__((target("avx2"))) static int join_avx2(uint32_t *out, rows r, int columns, int n, int factor, const places *p, rows next)
{
	const int step = factor * 2 / p->parts;
	const __m256i order = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p->at)), evens = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
	int x = 0;
	for (; x + 4 <= n && (x + 4) * factor + TOGETHER <= columns; x += 4) {
		const ptrdiff_t first = (ptrdiff_t)x * factor;
		fetch(next, first);
		__m256i sums = rows_avx2(r, first, step, order);
		if (p->parts == 2) {
			const __m256i more = rows_avx2(r, first + 2 * step, step, order);
			sums = _mm256_add_epi64(_mm256_unpacklo_epi64(sums, more), _mm256_unpackhi_epi64(sums, more)); /* of blocks 0, 2, 1 and 3 */
			sums = _mm256_permute4x64_epi64(sums, 0xd8);
		}
		_mm_storeu_si128((__m128i *)(out + x), _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(sums, evens)));
	}
	return x;
}

/* join_rows adds up the first of n blocks, and returns how many. */
INLINE int join_rows(uint32_t *out, rows r, int columns, int n, int factor, const places *p, rows next)
{
	const int best = loops();
	if (best == PLAIN || r.n != 2 || factor > TOGETHER)
		return 0;
	return best == AVX512 ? join_avx512(out, r, columns, n, factor, p, next) : join_avx2(out, r, columns, n, factor, p, next);
}
#else
INLINE int join_rows(uint32_t *out, rows r, int columns, int n, int factor, const places *p, rows next)
{
	(void)out, (void)r, (void)columns, (void)n, (void)factor, (void)p, (void)next;
	return 0;
}
#endif

/* A level is converted as range * sum + offset, rounded down. */
typedef struct {
	double range, offset;
} scale;

/* scale_of returns the scale of sums of n samples. With black and white as such sums, an exact result is a multiple of 1/(2 * (white - black)),
 * which is more than 2^-27. Half of that is added, so that what is rounded down is never within 2^-28 of a whole number: the errors of the
 * doubles are less than 2^-42, and results are those of exact arithmetic, with or without fused operations. */
INLINE scale scale_of(int depth, int full, int n)
{
	const double black = full ? 0 : (double)(16 << (depth - 8)) * n, white = (double)(full ? (1 << depth) - 1 : 235 << (depth - 8)) * n;
	return (scale){255 / (white - black), 0.5 + (0.25 - 255 * black) / (white - black)};
}

/* FLOATS is for how many samples of 8 bits floats are exact as well: what is rounded down is then never within 2^-14 of a whole number,
 * and the errors are less than 2^-14.5. */
enum { FLOATS = 15 };

#define CONVERT(name, real)                                                                        \
	INLINE void name(uint8_t *restrict dst, const uint32_t *restrict sums, int n, scale s)     \
	{                                                                                          \
		const real range = s.range, offset = s.offset;                                     \
		for (int x = 0; x < n; x++) {                                                      \
			const int32_t v = (int32_t)((int32_t)sums[x] * range + offset);            \
			dst[x] = v < 0 ? 0 : v > 255 ? 255 : v;                                    \
		}                                                                                  \
	}
CONVERT(convert_some, float)
CONVERT(convert_many, double)

INLINE void convert(uint8_t *dst, const uint32_t *sums, int n, int depth, int full, int samples)
{
	if (depth == 8 && samples <= FLOATS)
		convert_some(dst, sums, n, scale_of(depth, full, samples));
	else
		convert_many(dst, sums, n, scale_of(depth, full, samples));
}

INLINE void shrink_body(uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor)
{
	_Alignas(32) uint32_t words[STRIP + SPARE] = {0}; /* or twice as many sums of 16 bits */
	uint32_t sums[STRIP + 8];
	uint16_t *halves = (uint16_t *)words;
	const places p = places_of(factor);
	const int sw = (w - 1) / factor + 1, part = w - (sw - 1) * factor, strip = STRIP / factor;
	for (int y = 0; y < h; y += factor, data += factor * stride, dst += sw) {
		const int height = h - y < factor ? h - y : factor;
		for (int x = 0; x < sw; x += strip) {
			const int n = sw - x < strip ? sw - x : strip, first = x * factor, columns = w - first < n * factor ? w - first : n * factor;
			rows r = rows_of(data, stride, height), next = r;
			r.at += first * (depth > 8 ? 2 : 1);
			next.at = r.at + AHEAD * factor * stride;
			if (depth > 8) {
				add_words(words, r, columns);
				if (columns < n * factor)
					memset(words + columns, 0, SPARE * sizeof(*words));
				join_longs(sums, words, n, factor, next);
			} else {
				const int done = join_rows(sums, r, columns, n, factor, &p, next), before = done * factor;
				if (done < n) {
					r.at += before;
					next.at += before;
					add_bytes(halves, r, columns - before);
					if (columns < n * factor)
						memset(halves + columns - before, 0, SPARE * sizeof(*halves));
					join_words(sums + done, halves, n - done, factor, next);
				}
			}
			convert(dst + x, sums, n, depth, full, factor * r.n);
			if (columns < n * factor)
				convert(dst + sw - 1, sums + n - 1, 1, depth, full, part * r.n);
		}
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
				const int end = w - x < STRIP ? w : x + STRIP;
				add_bytes(strip, (rows){p + (ptrdiff_t)y * w + x, w, bottom - y < ROWS ? bottom - y : ROWS}, end - x);
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
