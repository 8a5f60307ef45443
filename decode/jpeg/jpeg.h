/* The part of a JPEG encoder that touches every pixel: transform, quantisation and
 * entropy coding of one baseline scan with 4:2:0 chroma. The rest is in jpeg.go. */
#ifndef KVSFRAMES_JPEG_H
#define KVSFRAMES_JPEG_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
	/* 4096/q, and what is added to each coefficient before the division, in 16ths; by column, then row. */
	uint16_t reciprocal[64], bias[64];
	/* Of luma and of chroma, by symbol: code << (number of extra bits) << 5 | length with extra bits. */
	uint32_t dc[2][16], ac[2][256];
} kvsf_jpeg_tables;

typedef struct {
	uint32_t dc[2][16], ac[2][256]; /* of luma and of chroma: how often each symbol occurs */
} kvsf_jpeg_counts;

/* A row of macroblocks: where its planes begin, and the memory that is read soon after (see Rows in jpeg.go). */
typedef struct {
	const uint8_t *data[3], *ahead[3];
	ptrdiff_t stride[3], ahead_stride[3];
} kvsf_jpeg_row;

/* The state of a scan: the bytes so far, the bits that are not written yet, and the last mean of each component. */
typedef struct {
	uint8_t *data;
	size_t size, capacity;
	uint64_t bits;
	int n;
	int dc[3];
} kvsf_jpeg_scan;

/* plain is 1 to leave out vector instructions, 2 to leave out those of AVX-512, which changes no bit. */

/* Begins a scan. Its memory is kept. */
void kvsf_jpeg_begin(kvsf_jpeg_scan *s);
/* Counts the symbols of a row of w samples, with h rows of samples down to the bottom of the picture. */
void kvsf_jpeg_count_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, int plain, kvsf_jpeg_scan *s, kvsf_jpeg_counts *counts);
/* Writes a row. Returns 0 if there is no memory, as kvsf_jpeg_end does, which writes the last bits. */
int kvsf_jpeg_put_row(const kvsf_jpeg_row *r, int w, int h, const kvsf_jpeg_tables *t, int plain, kvsf_jpeg_scan *s);
int kvsf_jpeg_end(kvsf_jpeg_scan *s);
void kvsf_jpeg_free(kvsf_jpeg_scan *s);

#endif
