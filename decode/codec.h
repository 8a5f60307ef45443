/* What go-astiav v0.39.0 lacks of libav's decoders. */
#ifndef KVSFRAMES_CODEC_H
#define KVSFRAMES_CODEC_H

#include <stdint.h>

void kvsf_flush(void *codec_context);
void kvsf_drop_extradata(void *codec_context);
void kvsf_no_order(void *codec_context);

/* What a packet came to: the errors that libav logged, and the blocks of the picture that nothing was decoded of. */
typedef struct {
	int complaints, uncovered;
} kvsf_verdict;

/* How the NAL units of a packet are distinguished: by start codes, or by length prefixes of 3 or 4 bytes. */
enum { KVSF_AS_IT_IS = -1, KVSF_START_CODES = 0 };

int kvsf_decode(void *codec_context, const uint8_t *data, int size, int64_t pts, int form, kvsf_verdict *verdict);
int kvsf_ask_delayed(void *codec_context);
void kvsf_leave_out(void *codec_context, int loop_filter, int concealment);
void kvsf_listen(void);
int kvsf_damage(const void *frame);

#endif
