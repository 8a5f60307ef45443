/* Loops over the pixels of a picture, in plain C that the compiler turns into vector code: once for any processor, and on
 * x86-64 again for AVX2 and for AVX-512. All give the same numbers. */
#ifndef KVSFRAMES_MEASURE_H
#define KVSFRAMES_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* The sets of loops. kvsf_measure_most is the best one that may be used: tests compare them. */
enum { PLAIN, AVX2, AVX512 };
extern int kvsf_measure_most;

#if defined(__x86_64__) && defined(__GNUC__)
/* Processors with avx512vbmi have the other parts as well, and do not slow down for vectors of 64 bytes. */
#ifdef __clang__
#define FOR_AVX512 "avx512bw,avx512vl,avx512vbmi"
#else
#define FOR_AVX512 "avx512bw,avx512vl,avx512vbmi,prefer-vector-width=512"
#endif

INLINE int loops(void)
{
	if (kvsf_measure_most >= AVX512 && __builtin_cpu_supports("avx512vbmi"))
		return AVX512;
	return kvsf_measure_most >= AVX2 && __builtin_cpu_supports("avx2") ? AVX2 : PLAIN;
}

/* KERNEL defines the function name from an inline function name_body. */
#define KERNEL(result, name, params, args)                                                             \
	__attribute__((target(FOR_AVX512))) static result name##_avx512 params { return name##_body args; } \
	__attribute__((target("avx2"))) static result name##_avx2 params { return name##_body args; }       \
	static result name##_plain params { return name##_body args; }                                 \
	result name params                                                                             \
	{                                                                                              \
		const int best = loops();                                                              \
		return best == AVX512 ? name##_avx512 args : best == AVX2 ? name##_avx2 args : name##_plain args; \
	}
#else
#define KERNEL(result, name, params, args) \
	result name params { return name##_body args; }
#endif

/* differences adds up the absolute differences of n bytes, and total adds up n bytes. */
INLINE uint64_t differences(const uint8_t *a, const uint8_t *b, ptrdiff_t n)
{
	uint64_t sum = 0;
	ptrdiff_t i = 0;
#ifdef __x86_64__
	__m128i two = _mm_setzero_si128();
	for (; i + 16 <= n; i += 16) {
		const __m128i other = b ? _mm_loadu_si128((const __m128i *)(b + i)) : _mm_setzero_si128();
		two = _mm_add_epi64(two, _mm_sad_epu8(_mm_loadu_si128((const __m128i *)(a + i)), other));
	}
	sum = (uint64_t)_mm_cvtsi128_si64(two) + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(two, two));
#endif
	for (; i < n; i++) {
		const int other = b ? b[i] : 0;
		sum += a[i] > other ? a[i] - other : other - a[i];
	}
	return sum;
}

INLINE uint64_t total(const uint8_t *p, ptrdiff_t n) { return differences(p, NULL, n); }

/* The widths of edges that kvsf_blur has measured: how many, and the sums of those along rows or columns and of those across. */
typedef struct {
	uint64_t count, straight, diagonal;
} kvsf_edges;

/* kvsf_shrink averages some rows of blocks of factor x factor samples; measure.go explains the rest. */
void kvsf_shrink(uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor);
/* kvsf_absolute adds up the absolute differences of n bytes. */
uint64_t kvsf_absolute(const uint8_t *a, const uint8_t *b, ptrdiff_t n);
/* kvsf_below counts the bytes that are less than the threshold. */
int kvsf_below(const uint8_t *p, int n, int threshold);
/* kvsf_blur measures edges. Scratch has as many bytes as kvsf_blur_scratch says. */
size_t kvsf_blur_scratch(int w, int h);
void kvsf_blur(const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out);
/* kvsf_gradients adds up the squares of the differences between each pixel and its neighbours to the right and below. */
uint64_t kvsf_gradients(const uint8_t *p, int w, int h);
/* kvsf_levels counts how often each value occurs. */
void kvsf_levels(const uint8_t *p, int n, uint32_t *count);
/* kvsf_cells computes the means of KVSF_CELLS x KVSF_CELLS cells, which divide the picture as evenly as whole pixels can, in 16ths of a level. */
enum { KVSF_CELLS = 16 };
void kvsf_cells(int32_t *means, const uint8_t *p, int w, int h);

#endif
