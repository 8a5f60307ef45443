/* Functions that go-astiav v0.39.0 lacks, and our own loops over pixels. Libav's
 * objects are passed as void pointers, since Go packages do not share C types. */
#ifndef KVSFRAMES_PICTURE_H
#define KVSFRAMES_PICTURE_H

#include <stddef.h>
#include <stdint.h>

/* A plane of samples, of one byte or, above 8 bits, of two. Strides are in bytes. */
typedef struct {
	uint8_t *data;
	ptrdiff_t stride;
	int w, h;
} kvsf_plane;

/* What a frame or a track states about its picture, beyond its size and colours. */
typedef struct {
	int sar_num, sar_den;
	int interlaced, top_first;
	int oriented, swap, flip_x, flip_y; /* swap rows for columns first, then mirror */
	int transfer, primaries;            /* AVCOL_TRC_*, AVCOL_PRI_* */
	int chroma_left;
	int planes, depth, log2_chroma_w, log2_chroma_h; /* planes is 0 for layouts that only libswscale reads */
	uint32_t crop[4];                                /* top, bottom, left, right; of tracks */
} kvsf_facts;

/* frame.c */
void kvsf_frame_facts(const void *frame, kvsf_facts *out);
void kvsf_track_facts(const void *codec_context, kvsf_facts *out);
kvsf_plane kvsf_plane_of(const void *frame, int p);
void *kvsf_scaler_new(int sw, int sh, int sf, int dw, int dh, int df, int flags);
void kvsf_scaler_free(void *scaler);
int kvsf_scale_plane(void *scaler, const kvsf_plane *s, kvsf_plane *d);
int kvsf_scale_frame(void *scaler, const void *src_frame, void *dst_frame);
int kvsf_fill(void *frame, const uint32_t *color);
void kvsf_paste(void *dst_frame, int x, int y, const void *src_frame);

/* plane.c. Planes have samples of one byte unless stated otherwise. */
extern int kvsf_plain_only;
void kvsf_copy(kvsf_plane *d, const kvsf_plane *s);
void kvsf_set(kvsf_plane *d, uint8_t value);
void kvsf_narrow(kvsf_plane *d, const kvsf_plane *s, uint32_t gain);
void kvsf_one_field(kvsf_plane *d, const kvsf_plane *s, int parity, int most);
void kvsf_double(kvsf_plane *d, const kvsf_plane *s, int left, int vertical, uint16_t *scratch);
void kvsf_interleave(kvsf_plane *d, const kvsf_plane *u, const kvsf_plane *v);
void kvsf_turn(kvsf_plane *d, const kvsf_plane *s, int swap, int flip_x, int flip_y);

/* area.c. The types are those of area.go. */
typedef struct {
	int32_t first, count;
	uint32_t head, inner, tail, norm;
} kvsf_span;
void kvsf_area(kvsf_plane *d, const kvsf_plane *s, const kvsf_span *rows, const int32_t *starts, const int16_t *weights, int taps, uint32_t gain,
	       void *scratch);

/* color.c. The numbers are those of color.go. */
typedef struct {
	uint16_t y_gain;
	int16_t y_from_u, y_from_v, y_base, u_from_u, u_from_v, v_from_u, v_from_v;
} kvsf_matrix;
typedef struct {
	uint16_t y_gain;
	int16_t base, r_from_v, g_from_u, g_from_v, b_from_u;
	int mixed;
	int16_t r_from_u, b_from_v;
} kvsf_rgb;
void kvsf_convert(kvsf_plane *d, const kvsf_plane *s, const kvsf_matrix *m, int16_t *scratch);
void kvsf_stretch(kvsf_plane *d, const kvsf_plane *s, uint16_t gain, int16_t base);
void kvsf_to_rgb(kvsf_plane *d, const kvsf_plane *s, const kvsf_rgb *m, int bgr, uint8_t *scratch);

#endif
