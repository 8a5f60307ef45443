/* The part of a JPEG encoder that touches every pixel: transform, quantisation and
 * entropy coding of one baseline scan with 4:2:0 chroma. The rest is in jpeg.go. */
#ifndef KVSFRAMES_JPEG_H
#define KVSFRAMES_JPEG_H

#include "picture.h"

typedef struct {
	/* 4096/q, and what is added to each coefficient before, in 16ths; by column, then row. */
	uint16_t reciprocal[64], bias[64];
	/* Of luma and of chroma, by symbol: code << (number of extra bits) << 5 | length with extra bits. */
	uint32_t dc[2][16], ac[2][256];
	/* Where the frame is not in JFIF's terms: 1, and what brings it there. */
	int convert;
	kvsf_matrix matrix;
} kvsf_jpeg_tables;

typedef struct {
	uint32_t dc[2][16], ac[2][256]; /* of luma and of chroma: how often each symbol comes */
} kvsf_jpeg_counts;

typedef struct {
	uint8_t *data;
	size_t size, capacity;
	uint8_t *row; /* of macroblocks, in JFIF's terms */
	size_t row_size;
} kvsf_jpeg_buffer;

/* The frames are AVFrames with 8-bit 4:2:0 planes. plain is 1 to leave out vector instructions, 2 to leave out
 * those of AVX-512, which changes no bit. */

/* Counts the symbols of every step-th row of macroblocks. Both return 0 if there is no memory. */
int kvsf_jpeg_count(const void *frame, const kvsf_jpeg_tables *t, int step, int plain, kvsf_jpeg_buffer *b, kvsf_jpeg_counts *counts);
/* Writes the entropy-coded bytes to out, which grows. */
int kvsf_jpeg_scan(const void *frame, const kvsf_jpeg_tables *t, int plain, kvsf_jpeg_buffer *out);
void kvsf_jpeg_free(kvsf_jpeg_buffer *b);

#endif
