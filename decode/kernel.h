/* Loops over pixels, in plain C that the compiler turns into vector code: once for
 * any processor, and on x86-64 once more for AVX2. Both are the same integer
 * arithmetic, so both give the same pixels. */
#ifndef KVSFRAMES_KERNEL_H
#define KVSFRAMES_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* KERNEL defines the function name from an inline function name_body. */
#if defined(__x86_64__) && defined(__GNUC__)
extern int kvsf_plain_only;
#define KERNEL(name, params, args)                                                        \
	__attribute__((target("avx2"))) static void name##_avx2 params { name##_body args; }  \
	static void name##_plain params { name##_body args; }                                 \
	void name params                                                                      \
	{                                                                                     \
		if (!kvsf_plain_only && __builtin_cpu_supports("avx2"))                       \
			name##_avx2 args;                                                         \
		else                                                                              \
			name##_plain args;                                                        \
	}
#else
#define KERNEL(name, params, args) \
	void name params { name##_body args; }
#endif

INLINE uint8_t clip8(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

/* high and uhigh return the upper half of a product of two 16-bit values. */
INLINE int16_t high(int16_t a, int16_t b) { return (int16_t)(((int32_t)a * b) >> 16); }
INLINE uint16_t uhigh(uint16_t a, uint16_t b) { return (uint16_t)(((uint32_t)a * b) >> 16); }

#endif
