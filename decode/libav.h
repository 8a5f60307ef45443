/* What go-astiav v0.39.0 lacks, in as few lines as it takes. Pointers to libav's
 * own objects pass as void pointers, since Go packages do not share C types. */
#ifndef KVSFRAMES_LIBAV_H
#define KVSFRAMES_LIBAV_H

#include <stdint.h>

/* Planes of chroma at half the luma's size; see convert.go for the arithmetic. */
typedef struct {
	int32_t y_gain, y_from_u, y_from_v, y_base;
	int32_t u_from_u, u_from_v, u_base;
	int32_t v_from_u, v_from_v, v_base;
} kvsf_matrix;

void kvsf_flush(void *codec_context);

void *kvsf_scaler_new(int sw, int sh, int sf, int dw, int dh, int df, int flags, int matrix, int src_full, int dst_matrix, int dst_full);
void kvsf_scaler_free(void *scaler);
int kvsf_scale(void *scaler, const void *src_frame, int x, int y, int h, void *dst_frame);

int kvsf_fill(void *frame, const uint32_t *color);
void kvsf_paste(void *dst_frame, int x, int y, const void *src_frame);
void kvsf_convert(void *dst_frame, const void *src_frame, const kvsf_matrix *m);

#endif
