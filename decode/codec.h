/* What go-astiav v0.39.0 lacks of libav's decoders. */
#ifndef KVSFRAMES_CODEC_H
#define KVSFRAMES_CODEC_H

void kvsf_flush(void *codec_context);
void kvsf_drop_extradata(void *codec_context);
int kvsf_ask_delayed(void *codec_context);
void kvsf_leave_out(void *codec_context, int loop_filter, int concealment);
void kvsf_listen(void);
int kvsf_complaints(void);
int kvsf_damage(const void *frame);

#endif
