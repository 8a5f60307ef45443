/* From samples to quantised coefficients: the part of the JPEG encoder that is the same work for every block. */
#ifndef KVSFRAMES_TRANSFORM_H
#define KVSFRAMES_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define HAVE_AVX2 1
#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))
#endif

/* Four blocks of 8x8 quantised coefficients in zigzag order, and which of them are not 0: levels that are 0 may be left unset. */
typedef struct {
	_Alignas(64) int16_t level[4][64];
	uint64_t nonzero[4];
} blocks;

/* a and b are 16 samples wide and 8 high: the first two blocks are a's. Reciprocals and biases are as in kvsf_jpeg_tables. */
typedef void transform(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, const uint16_t *reciprocal, const uint16_t *bias, blocks *out);

transform kvsf_plain_transform;

/* The fastest transform that this processor supports; plain is that of jpeg.h. */
transform *kvsf_transform(int plain);

#endif
