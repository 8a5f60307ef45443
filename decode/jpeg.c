#include "jpeg.h"

#include <libavutil/frame.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#endif

#define INLINE static inline __attribute__((always_inline))

/* cos(k*pi/16)/2 in 14 bits of fraction. */
#define C1 8035
#define C2 7568
#define C3 6811
#define C4 5793
#define C5 4551
#define C6 3135
#define C7 1598
/* After the first pass 4 bits of fraction are left, and so after the second. All fits in 16 bits. */
#define FIRST_SHIFT 10
#define SECOND_SHIFT 14

/* The place in zigzag order of each coefficient, which lie by column, then row. */
static const uint8_t zigzag[64] = {
	0, 2, 3, 9, 10, 20, 21, 35,
	1, 4, 8, 11, 19, 22, 34, 36,
	5, 7, 12, 18, 23, 33, 37, 48,
	6, 13, 17, 24, 32, 38, 47, 49,
	14, 16, 25, 31, 39, 46, 50, 57,
	15, 26, 30, 40, 45, 51, 56, 58,
	27, 29, 41, 44, 52, 55, 59, 62,
	28, 42, 43, 53, 54, 60, 61, 63,
};

/* Two blocks of 8x8 quantised coefficients, and which of them are not 0. */
typedef struct {
	_Alignas(32) int16_t level[2][64];
	uint64_t nonzero[2];
} pair;

typedef void transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, pair *out);

/* One pass of the orthonormal transform over the columns of x. The loops here are such that a compiler can make vectors of them. */
static void plain_pass(const int16_t *restrict x, int16_t *restrict y, int shift)
{
	const int32_t half = 1 << (shift - 1);
	for (int i = 0; i < 8; i++) {
		int32_t d0 = x[i] - x[56 + i], d1 = x[8 + i] - x[48 + i], d2 = x[16 + i] - x[40 + i], d3 = x[24 + i] - x[32 + i];
		int32_t t0 = x[i] + x[56 + i], t1 = x[8 + i] + x[48 + i], t2 = x[16 + i] + x[40 + i], t3 = x[24 + i] + x[32 + i];
		int32_t e0 = t0 + t3, e1 = t1 + t2, e2 = t0 - t3, e3 = t1 - t2;
		y[i] = (C4 * e0 + C4 * e1 + half) >> shift;
		y[8 + i] = (C1 * d0 + C3 * d1 + C5 * d2 + C7 * d3 + half) >> shift;
		y[16 + i] = (C2 * e2 + C6 * e3 + half) >> shift;
		y[24 + i] = (C3 * d0 - C7 * d1 - C1 * d2 - C5 * d3 + half) >> shift;
		y[32 + i] = (C4 * e0 - C4 * e1 + half) >> shift;
		y[40 + i] = (C5 * d0 - C1 * d1 + C7 * d2 + C3 * d3 + half) >> shift;
		y[48 + i] = (C6 * e2 - C2 * e3 + half) >> shift;
		y[56 + i] = (C7 * d0 - C5 * d1 + C3 * d2 - C1 * d3 + half) >> shift;
	}
}

static void plain_block(const uint8_t *src, ptrdiff_t stride, const uint16_t *restrict reciprocal, const uint16_t *restrict bias, int16_t *restrict level, uint64_t *nonzero)
{
	int16_t x[64], y[64];
	for (int r = 0; r < 8; r++)
		for (int c = 0; c < 8; c++)
			x[8 * r + c] = src[r * stride + c] - 128;
	plain_pass(x, y, FIRST_SHIFT);
	for (int r = 0; r < 8; r++)
		for (int c = 0; c < 8; c++)
			x[8 * c + r] = y[8 * r + c];
	plain_pass(x, y, SECOND_SHIFT);
	for (int i = 0; i < 64; i++) {
		int q = ((uint32_t)((y[i] < 0 ? -y[i] : y[i]) + bias[i]) * reciprocal[i]) >> 16;
		level[i] = y[i] < 0 ? -q : q;
	}
	uint64_t set = 0;
	for (int i = 0; i < 64; i++)
		set |= (uint64_t)(level[i] != 0) << i;
	*nonzero = set;
}

static void plain_transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, pair *out)
{
	plain_block(a, a_stride, reciprocal, bias, out->level[0], &out->nonzero[0]);
	plain_block(b, b_stride, reciprocal, bias, out->level[1], &out->nonzero[1]);
}

#ifdef HAVE_AVX2

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))

/* (a*ca + b*cb + half) >> shift of the a and b that lo and hi hold interleaved; DOT2 adds c*cc + d*cd of lo2 and hi2. */
#define PAIR(a, b) _mm256_set1_epi32((int32_t)((uint16_t)(a) | (uint32_t)(uint16_t)(b) << 16))
#define DOT(lo, hi, ca, cb) \
	_mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(lo, PAIR(ca, cb)), half), shift), \
			   _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(hi, PAIR(ca, cb)), half), shift))
#define DOT2(lo, hi, ca, cb, lo2, hi2, cc, cd) \
	_mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(lo, PAIR(ca, cb)), half), _mm256_madd_epi16(lo2, PAIR(cc, cd))), shift), \
			   _mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(hi, PAIR(ca, cb)), half), _mm256_madd_epi16(hi2, PAIR(cc, cd))), shift))

/* The same as plain_pass on two blocks at once, each in one half of the registers; rows stay rows. */
AVX2 INLINE void avx2_pass(__m256i x[8], const int shift)
{
	const __m256i half = _mm256_set1_epi32(1 << (shift - 1));
	__m256i d0 = _mm256_sub_epi16(x[0], x[7]), d1 = _mm256_sub_epi16(x[1], x[6]);
	__m256i d2 = _mm256_sub_epi16(x[2], x[5]), d3 = _mm256_sub_epi16(x[3], x[4]);
	__m256i t0 = _mm256_add_epi16(x[0], x[7]), t1 = _mm256_add_epi16(x[1], x[6]);
	__m256i t2 = _mm256_add_epi16(x[2], x[5]), t3 = _mm256_add_epi16(x[3], x[4]);
	__m256i e0 = _mm256_add_epi16(t0, t3), e1 = _mm256_add_epi16(t1, t2);
	__m256i e2 = _mm256_sub_epi16(t0, t3), e3 = _mm256_sub_epi16(t1, t2);
	__m256i lo = _mm256_unpacklo_epi16(e0, e1), hi = _mm256_unpackhi_epi16(e0, e1);
	x[0] = DOT(lo, hi, C4, C4);
	x[4] = DOT(lo, hi, C4, -C4);
	lo = _mm256_unpacklo_epi16(e2, e3), hi = _mm256_unpackhi_epi16(e2, e3);
	x[2] = DOT(lo, hi, C2, C6);
	x[6] = DOT(lo, hi, C6, -C2);
	lo = _mm256_unpacklo_epi16(d0, d1), hi = _mm256_unpackhi_epi16(d0, d1);
	__m256i lo2 = _mm256_unpacklo_epi16(d2, d3), hi2 = _mm256_unpackhi_epi16(d2, d3);
	x[1] = DOT2(lo, hi, C1, C3, lo2, hi2, C5, C7);
	x[3] = DOT2(lo, hi, C3, -C7, lo2, hi2, -C1, -C5);
	x[5] = DOT2(lo, hi, C5, -C1, lo2, hi2, C7, C3);
	x[7] = DOT2(lo, hi, C7, -C5, lo2, hi2, C3, -C1);
}

AVX2 INLINE void avx2_transpose(__m256i x[8])
{
	__m256i a[8], b[8];
	for (int i = 0; i < 4; i++) {
		a[2 * i] = _mm256_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
		a[2 * i + 1] = _mm256_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
	}
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++) {
			b[4 * i + 2 * k] = _mm256_unpacklo_epi32(a[4 * i + k], a[4 * i + 2 + k]);
			b[4 * i + 2 * k + 1] = _mm256_unpackhi_epi32(a[4 * i + k], a[4 * i + 2 + k]);
		}
	for (int i = 0; i < 4; i++) {
		x[2 * i] = _mm256_unpacklo_epi64(b[i], b[4 + i]);
		x[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[4 + i]);
	}
}

AVX2 static void avx2_transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, pair *out)
{
	__m256i x[8];
	for (int i = 0; i < 8; i++) {
		__m128i row = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(a + i * a_stride)), _mm_loadl_epi64((const __m128i *)(b + i * b_stride)));
		x[i] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(row), _mm256_set1_epi16(128));
	}
	avx2_pass(x, FIRST_SHIFT);
	avx2_transpose(x);
	avx2_pass(x, SECOND_SHIFT);
	uint64_t nonzero[2] = {0, 0};
	for (int i = 0; i < 8; i++) {
		__m256i r = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(reciprocal + 8 * i)));
		__m256i add = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(bias + 8 * i)));
		__m256i q = _mm256_mulhi_epu16(_mm256_add_epi16(_mm256_abs_epi16(x[i]), add), r);
		x[i] = _mm256_sign_epi16(q, x[i]);
		_mm_store_si128((__m128i *)(out->level[0] + 8 * i), _mm256_castsi256_si128(x[i]));
		_mm_store_si128((__m128i *)(out->level[1] + 8 * i), _mm256_extracti128_si256(x[i], 1));
	}
	for (int i = 0; i < 4; i++) {
		__m256i zero = _mm256_cmpeq_epi8(_mm256_packs_epi16(x[2 * i], x[2 * i + 1]), _mm256_setzero_si256());
		uint32_t m = ~(uint32_t)_mm256_movemask_epi8(zero);
		nonzero[0] |= (uint64_t)(m & 0xffff) << (16 * i);
		nonzero[1] |= (uint64_t)(m >> 16) << (16 * i);
	}
	out->nonzero[0] = nonzero[0];
	out->nonzero[1] = nonzero[1];
}

#endif

/* What is known while a scan is under way. */
typedef struct {
	const kvsf_jpeg_tables *tables;
	kvsf_jpeg_counts *counts; /* set: symbols are counted and not written */
	uint8_t *to;
	uint64_t bits;
	int n; /* how many of bits are not written yet: 31 at most between two symbols */
	int dc[3];
} state;

INLINE void put(state *s, uint32_t entry, uint32_t extra)
{
	int length = entry & 31;
	s->bits = s->bits << length | (entry >> 5 | extra);
	s->n += length;
	if (s->n < 32)
		return;
	s->n -= 32;
	uint32_t word = (uint32_t)(s->bits >> s->n);
	if (!((word & ~(word + 0x01010101u)) & 0x80808080u)) { /* no byte is 0xff */
		word = __builtin_bswap32(word);
		memcpy(s->to, &word, 4);
		s->to += 4;
		return;
	}
	for (int shift = 24; shift >= 0; shift -= 8) {
		uint8_t byte = word >> shift;
		*s->to++ = byte;
		if (byte == 0xff)
			*s->to++ = 0;
	}
}

/* put_symbol writes a symbol with its extra bits, or counts it where that is asked for. */
INLINE void put_symbol(state *s, const uint32_t *codes, uint32_t *seen, int symbol, uint32_t extra)
{
	if (seen)
		seen[symbol]++;
	else
		put(s, codes[symbol], extra);
}

/* size_of returns how many extra bits a value takes, extra_of those bits. */
INLINE int size_of(int v) { return v ? 32 - __builtin_clz(v < 0 ? -v : v) : 0; }
INLINE uint32_t extra_of(int v, int size) { return (uint32_t)(v + (v >> 31)) & ((1u << size) - 1); }

#define END_OF_BLOCK 0x00
#define SIXTEEN_ZEROS 0xf0

INLINE void put_block(state *s, const int16_t *level, uint64_t nonzero, int component, const int count)
{
	int chroma = component > 0;
	const uint32_t *ac = s->tables->ac[chroma];
	uint32_t *seen = count ? s->counts->ac[chroma] : NULL;
	int diff = level[0] - s->dc[component], size = size_of(diff);
	s->dc[component] = level[0];
	put_symbol(s, s->tables->dc[chroma], count ? s->counts->dc[chroma] : NULL, size, extra_of(diff, size));

	/* Few are not 0: only those are brought to zigzag order. */
	int16_t ordered[64];
	uint64_t at = 0;
	for (uint64_t m = nonzero & ~1ull; m; m &= m - 1) {
		int i = __builtin_ctzll(m), z = zigzag[i];
		at |= 1ull << z;
		ordered[z] = level[i];
	}
	int before = 0;
	for (; at; at &= at - 1) {
		int z = __builtin_ctzll(at), run = z - before - 1, v = ordered[z];
		before = z;
		for (; run > 15; run -= 16)
			put_symbol(s, ac, seen, SIXTEEN_ZEROS, 0);
		size = size_of(v);
		put_symbol(s, ac, seen, run << 4 | size, extra_of(v, size));
	}
	if (before < 63)
		put_symbol(s, ac, seen, END_OF_BLOCK, 0);
}

/* copy_edge copies a block that hangs over the edge; the last row and column go on. */
static void copy_edge(uint8_t *to, int side, const uint8_t *from, ptrdiff_t stride, int w, int h)
{
	for (int y = 0; y < side; y++) {
		const uint8_t *row = from + (y < h ? y : h - 1) * stride;
		for (int x = 0; x < side; x++)
			to[y * side + x] = row[x < w ? x : w - 1];
	}
}

/* A row of macroblocks in JFIF's terms: where its planes begin. */
typedef struct {
	const uint8_t *data[3];
	ptrdiff_t stride[3];
} mb_row;

/* of_plane gives the side of plane i, by that of the picture. */
INLINE int of_plane(int side, int i) { return i ? (side + 1) / 2 : side; }

INLINE ptrdiff_t padded(int w) { return (w + 63) & ~63; }

/* make_row makes room for a row that has to be brought to JFIF's terms, and for what that takes. */
static int make_row(const AVFrame *f, const kvsf_jpeg_tables *t, kvsf_jpeg_buffer *b)
{
	size_t size = 16 * (padded(f->width) + padded(of_plane(f->width, 1))) + 2 * (f->width + 2);
	if (!t->convert || b->row_size >= size)
		return 1;
	free(b->row);
	b->row = malloc(size);
	b->row_size = b->row ? size : 0;
	return b->row != NULL;
}

/* row_at returns row my. It is brought to JFIF's terms here, and not all of the picture before, so that it is still in the caches. */
static mb_row row_at(const AVFrame *f, const kvsf_jpeg_tables *t, int my, uint8_t *room)
{
	mb_row r;
	kvsf_plane from[3], to[3];
	for (int i = 0; i < 3; i++) {
		int side = i ? 8 : 16, w = of_plane(f->width, i), h = of_plane(f->height, i) - side * my;
		from[i] = (kvsf_plane){f->data[i] + side * my * (ptrdiff_t)f->linesize[i], f->linesize[i], w, h < side ? h : side};
		to[i] = t->convert ? (kvsf_plane){room, padded(w), w, from[i].h} : from[i];
		room += t->convert ? side * padded(w) : 0;
		r.data[i] = to[i].data;
		r.stride[i] = to[i].stride;
	}
	if (t->convert)
		kvsf_convert(to, from, &t->matrix, (int16_t *)room);
	return r;
}

/* ahead asks for the samples of macroblocks to come: 32 rows at once are more than processors foresee. To ask beyond the planes does no harm. */
INLINE void ahead(const AVFrame *f, int mx, int my)
{
	if (mx % 4 == 0)
		for (int y = 0; y < 16; y++)
			__builtin_prefetch(f->data[0] + (16 * my + y) * (ptrdiff_t)f->linesize[0] + 16 * mx + 128);
	if (mx % 8 == 0)
		for (int i = 1; i < 3; i++)
			for (int y = 0; y < 8; y++)
				__builtin_prefetch(f->data[i] + (8 * my + y) * (ptrdiff_t)f->linesize[i] + 8 * mx + 128);
}

INLINE void put_macroblock(state *s, const mb_row *r, int mx, int w, int h, transform *tr, const int count)
{
	const uint8_t *plane[3];
	ptrdiff_t stride[3];
	uint8_t edge[3][16 * 16];
	for (int i = 0; i < 3; i++) {
		int side = i ? 8 : 16;
		stride[i] = r->stride[i];
		plane[i] = r->data[i] + mx * side;
		if (w >= 16 && h >= 16)
			continue;
		copy_edge(edge[i], side, plane[i], stride[i], of_plane(w, i), of_plane(h, i));
		plane[i] = edge[i];
		stride[i] = side;
	}
	const kvsf_jpeg_tables *t = s->tables;
	pair b;
	for (int half = 0; half < 2; half++) {
		const uint8_t *y = plane[0] + 8 * half * stride[0];
		tr(y, stride[0], y + 8, stride[0], t->reciprocal, t->bias, &b);
		put_block(s, b.level[0], b.nonzero[0], 0, count);
		put_block(s, b.level[1], b.nonzero[1], 0, count);
	}
	tr(plane[1], stride[1], plane[2], stride[2], t->reciprocal, t->bias, &b);
	put_block(s, b.level[0], b.nonzero[0], 1, count);
	put_block(s, b.level[1], b.nonzero[1], 2, count);
}

/* More than a macroblock can take: 6 blocks of 64 symbols of 27 bits, each byte followed by a 0. */
#define MACROBLOCK_MAX 4096

static int make_room(kvsf_jpeg_buffer *b)
{
	if (b->capacity - b->size >= MACROBLOCK_MAX)
		return 1;
	size_t capacity = b->capacity < (1 << 16) ? 1 << 16 : 2 * b->capacity;
	uint8_t *data = realloc(b->data, capacity);
	if (!data)
		return 0;
	b->data = data;
	b->capacity = capacity;
	return 1;
}

INLINE int scan(const AVFrame *f, const kvsf_jpeg_tables *t, transform *tr, kvsf_jpeg_buffer *out)
{
	state s = {.tables = t};
	out->size = 0;
	if (!make_row(f, t, out))
		return 0;
	for (int y = 0; y < (f->height + 15) / 16; y++) {
		mb_row r = row_at(f, t, y, out->row);
		for (int x = 0; x < (f->width + 15) / 16; x++) {
			if (!make_room(out))
				return 0;
			s.to = out->data + out->size;
			ahead(f, x, y + t->convert);
			put_macroblock(&s, &r, x, f->width - 16 * x, f->height - 16 * y, tr, 0);
			out->size = s.to - out->data;
		}
	}
	if (!make_room(out))
		return 0;
	s.to = out->data + out->size;
	/* What is held goes out; ones fill the last byte. */
	int rest = (s.n + 7) / 8;
	for (int i = 0; i < rest; i++) {
		int shift = s.n - 8 * (i + 1);
		uint8_t byte = shift >= 0 ? s.bits >> shift : s.bits << -shift | ((1 << -shift) - 1);
		*s.to++ = byte;
		if (byte == 0xff)
			*s.to++ = 0;
	}
	out->size = s.to - out->data;
	return 1;
}

INLINE int count(const AVFrame *f, const kvsf_jpeg_tables *t, int step, transform *tr, kvsf_jpeg_buffer *b, kvsf_jpeg_counts *counts)
{
	state s = {.tables = t, .counts = counts};
	if (!make_row(f, t, b))
		return 0;
	for (int y = step / 2; y < (f->height + 15) / 16; y += step) {
		mb_row r = row_at(f, t, y, b->row);
		for (int x = 0; x < (f->width + 15) / 16; x++) {
			ahead(f, x, y + (t->convert ? step : 0));
			put_macroblock(&s, &r, x, f->width - 16 * x, f->height - 16 * y, tr, 1);
		}
	}
	return 1;
}

#ifdef HAVE_AVX2
AVX2 static int avx2_scan(const AVFrame *f, const kvsf_jpeg_tables *t, kvsf_jpeg_buffer *out) { return scan(f, t, avx2_transform, out); }
AVX2 static int avx2_count(const AVFrame *f, const kvsf_jpeg_tables *t, int step, kvsf_jpeg_buffer *b, kvsf_jpeg_counts *c) { return count(f, t, step, avx2_transform, b, c); }

static int have_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
}
#else
#define have_avx2() 0
#define avx2_scan(f, t, out) 0
#define avx2_count(f, t, step, b, counts) 0
#endif

int kvsf_jpeg_scan(const void *frame, const kvsf_jpeg_tables *t, int plain, kvsf_jpeg_buffer *out)
{
	if (!plain && have_avx2())
		return avx2_scan(frame, t, out);
	return scan(frame, t, plain_transform, out);
}

int kvsf_jpeg_count(const void *frame, const kvsf_jpeg_tables *t, int step, int plain, kvsf_jpeg_buffer *b, kvsf_jpeg_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	if (!plain && have_avx2())
		return avx2_count(frame, t, step, b, counts);
	return count(frame, t, step, plain_transform, b, counts);
}

void kvsf_jpeg_free(kvsf_jpeg_buffer *b)
{
	free(b->data);
	free(b->row);
	memset(b, 0, sizeof(*b));
}
