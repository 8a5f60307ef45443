/* Functions of libav's decoders that go-astiav v0.39.0 lacks. */
#ifndef KVSFRAMES_CODEC_H
#define KVSFRAMES_CODEC_H

#include <stdint.h>

void kvsf_flush(void *codec_context);
void kvsf_drop_extradata(void *codec_context);
void kvsf_no_order(void *codec_context);

/* The numbers of errors that libav logged for a packet, and of blocks of its picture that were not decoded. */
typedef struct {
	int complaints, uncovered;
} kvsf_verdict;

/* The form of a packet: one of these, or the size of the length prefixes of its NAL units, which is 3 or 4. */
enum { KVSF_AS_IT_IS = -1, KVSF_START_CODES = 0 };

int kvsf_decode(void *codec_context, const uint8_t *data, int size, int64_t pts, int form, kvsf_verdict *verdict);
int kvsf_ask_delayed(void *codec_context);
void kvsf_leave_out(void *codec_context, int loop_filter, int concealment);
void kvsf_listen(void);
int kvsf_damage(const void *frame);

#endif
