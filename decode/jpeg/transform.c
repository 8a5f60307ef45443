#include "transform.h"

#if HAVE_AVX2
#include <immintrin.h>
#endif

/* cos(k*pi/16)/2 in 14 bits of fraction. */
#define C1 8035
#define C2 7568
#define C3 6811
#define C4 5793
#define C5 4551
#define C6 3135
#define C7 1598
/* After the first pass 4 bits of fraction are left, and so after the second. All values fit in 16 bits. */
#define FIRST_SHIFT 10
#define SECOND_SHIFT 14

/* The index in zigzag order of each coefficient. Coefficients are stored by column, then row. */
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

/* One pass of the orthonormal transform over the columns of x. Compilers can vectorise these loops. */
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
		level[zigzag[i]] = y[i] < 0 ? -q : q;
	}
	uint64_t set = 0;
	for (int i = 0; i < 64; i++)
		set |= (uint64_t)(level[i] != 0) << i;
	*nonzero = set;
}

void kvsf_plain_transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, blocks *out)
{
	for (int i = 0; i < 2; i++) {
		plain_block(a + 8 * i, a_stride, reciprocal, bias, out->level[i], &out->nonzero[i]);
		plain_block(b + 8 * i, b_stride, reciprocal, bias, out->level[2 + i], &out->nonzero[2 + i]);
	}
}

#if HAVE_AVX2

#define TARGET AVX2
#define VECTOR __m256i
#define V(instruction) _mm256_##instruction
#define PASS avx2_pass
#define TRANSPOSE avx2_transpose
#include "pass.h"

#define TARGET AVX512
#define VECTOR __m512i
#define V(instruction) _mm512_##instruction
#define PASS avx512_pass
#define TRANSPOSE avx512_transpose
#include "pass.h"

/* in_order copies the levels of a block that are not 0, which are few, in zigzag order. */
AVX2 INLINE void in_order(const int16_t *level, uint64_t nonzero, int16_t *to, uint64_t *at)
{
	uint64_t set = 0;
	for (uint64_t m = nonzero; m; m &= m - 1) {
		int i = __builtin_ctzll(m), z = zigzag[i];
		set |= 1ull << z;
		to[z] = level[i];
	}
	*at = set;
}

AVX2 INLINE void avx2_two(const uint8_t *a, ptrdiff_t stride, const uint16_t *reciprocal, const uint16_t *bias, int16_t (*level)[64], uint64_t *at)
{
	__m256i x[8];
	_Alignas(32) int16_t unordered[2][64];
	for (int i = 0; i < 8; i++)
		x[i] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + i * stride))), _mm256_set1_epi16(128));
	avx2_pass(x, FIRST_SHIFT);
	avx2_transpose(x);
	avx2_pass(x, SECOND_SHIFT);
	for (int i = 0; i < 8; i++) {
		__m256i r = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(reciprocal + 8 * i)));
		__m256i add = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(bias + 8 * i)));
		__m256i q = _mm256_mulhi_epu16(_mm256_add_epi16(_mm256_abs_epi16(x[i]), add), r);
		x[i] = _mm256_sign_epi16(q, x[i]);
		_mm_store_si128((__m128i *)(unordered[0] + 8 * i), _mm256_castsi256_si128(x[i]));
		_mm_store_si128((__m128i *)(unordered[1] + 8 * i), _mm256_extracti128_si256(x[i], 1));
	}
	uint64_t nonzero[2] = {0, 0};
	for (int i = 0; i < 4; i++) {
		__m256i zero = _mm256_cmpeq_epi8(_mm256_packs_epi16(x[2 * i], x[2 * i + 1]), _mm256_setzero_si256());
		uint32_t m = ~(uint32_t)_mm256_movemask_epi8(zero);
		nonzero[0] |= (uint64_t)(m & 0xffff) << (16 * i);
		nonzero[1] |= (uint64_t)(m >> 16) << (16 * i);
	}
	for (int i = 0; i < 2; i++) {
		level[i][0] = unordered[i][0];
		in_order(unordered[i], nonzero[i] & ~1ull, level[i], &at[i]);
	}
}

AVX2 static void avx2_transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, blocks *out)
{
	avx2_two(a, a_stride, reciprocal, bias, out->level, out->nonzero);
	avx2_two(b, b_stride, reciprocal, bias, out->level + 2, out->nonzero + 2);
}

/* The coefficient at each index in zigzag order. */
static const uint16_t coefficient[64] = {
	0, 8, 1, 2, 9, 16, 24, 17,
	10, 3, 4, 11, 18, 25, 32, 40,
	33, 26, 19, 12, 5, 6, 13, 20,
	27, 34, 41, 48, 56, 49, 42, 35,
	28, 21, 14, 7, 15, 22, 29, 36,
	43, 50, 57, 58, 51, 44, 37, 30,
	23, 31, 38, 45, 52, 59, 60, 53,
	46, 39, 47, 54, 61, 62, 55, 63,
};

AVX512 static void avx512_transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, blocks *out)
{
	__m512i x[8], y[2][4];
	for (int i = 0; i < 8; i++) {
		__m256i row = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(a + i * a_stride))),
						      _mm_loadu_si128((const __m128i *)(b + i * b_stride)), 1);
		x[i] = _mm512_sub_epi16(_mm512_cvtepu8_epi16(row), _mm512_set1_epi16(128));
	}
	avx512_pass(x, FIRST_SHIFT);
	avx512_transpose(x);
	avx512_pass(x, SECOND_SHIFT);
	for (int i = 0; i < 8; i++) {
		__m512i r = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(reciprocal + 8 * i)));
		__m512i add = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(bias + 8 * i)));
		__m512i q = _mm512_mulhi_epu16(_mm512_add_epi16(_mm512_abs_epi16(x[i]), add), r);
		x[i] = _mm512_mask_sub_epi16(q, _mm512_movepi16_mask(x[i]), _mm512_setzero_si512(), q);
	}
	/* Rows of four blocks become blocks of four rows. */
	for (int i = 0; i < 2; i++) {
		const __m512i *r = x + 4 * i;
		__m512i s = _mm512_shuffle_i32x4(r[0], r[1], 0x44), t = _mm512_shuffle_i32x4(r[2], r[3], 0x44);
		__m512i u = _mm512_shuffle_i32x4(r[0], r[1], 0xee), v = _mm512_shuffle_i32x4(r[2], r[3], 0xee);
		y[i][0] = _mm512_shuffle_i32x4(s, t, 0x88);
		y[i][1] = _mm512_shuffle_i32x4(s, t, 0xdd);
		y[i][2] = _mm512_shuffle_i32x4(u, v, 0x88);
		y[i][3] = _mm512_shuffle_i32x4(u, v, 0xdd);
	}
	const __m512i low = _mm512_loadu_si512(coefficient), high = _mm512_loadu_si512(coefficient + 32);
	for (int i = 0; i < 4; i++) {
		__m512i l = _mm512_permutex2var_epi16(y[0][i], low, y[1][i]), h = _mm512_permutex2var_epi16(y[0][i], high, y[1][i]);
		_mm512_store_si512(out->level[i], l);
		_mm512_store_si512(out->level[i] + 32, h);
		out->nonzero[i] = _mm512_test_epi16_mask(l, l) | (uint64_t)_mm512_test_epi16_mask(h, h) << 32;
	}
}

#endif

transform *kvsf_transform(int plain)
{
#if HAVE_AVX2
	int avx2 = plain != 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
	if (avx2 && plain != 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
		return avx512_transform;
	if (avx2)
		return avx2_transform;
#endif
	(void)plain;
	return kvsf_plain_transform;
}
