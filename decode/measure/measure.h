/* Loops over the pixels of a picture, in plain C that the compiler turns into vector code: once for any processor, and on
 * x86-64 once more for AVX2. Both give the same numbers. */
#ifndef KVSFRAMES_MEASURE_H
#define KVSFRAMES_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

extern int kvsf_measure_plain; /* set by tests, to compare the two sets of loops */

/* KERNEL defines the function name from an inline function name_body. */
#if defined(__x86_64__) && defined(__GNUC__)
#define KERNEL(result, name, params, args)                                                       \
	__attribute__((target("avx2"))) static result name##_avx2 params { return name##_body args; } \
	static result name##_plain params { return name##_body args; }                           \
	result name params { return !kvsf_measure_plain && __builtin_cpu_supports("avx2") ? name##_avx2 args : name##_plain args; }
#else
#define KERNEL(result, name, params, args) \
	result name params { return name##_body args; }
#endif

/* The widths of edges that kvsf_blur has measured: how many, and the sums of those along rows or columns and of those across. */
typedef struct {
	uint64_t count, straight, diagonal;
} kvsf_edges;

/* kvsf_shrink averages blocks of factor x factor samples; measure.go explains the rest. */
void kvsf_shrink(uint8_t *dst, const uint8_t *data, ptrdiff_t stride, int w, int h, int depth, int full, int factor);
/* kvsf_below counts the bytes that are less than the threshold. */
int kvsf_below(const uint8_t *p, int n, int threshold);
/* kvsf_blur measures edges. Scratch has 5 bytes for each pixel. */
void kvsf_blur(const uint8_t *p, int w, int h, void *scratch, kvsf_edges *out);
/* kvsf_gradients adds up the squares of the differences between each pixel and its neighbours to the right and below. */
uint64_t kvsf_gradients(const uint8_t *p, int w, int h);
/* kvsf_levels counts how often each value occurs. */
void kvsf_levels(const uint8_t *p, int n, uint32_t *count);
/* kvsf_cells adds up the pixels of columns x rows cells, which divide the picture as evenly as whole pixels can. */
void kvsf_cells(const uint8_t *p, int w, int h, int columns, int rows, uint32_t *sums);

#endif
