/* Finds the blocks of a picture that a decoder did not write. */
#ifndef KVSFRAMES_COVERAGE_H
#define KVSFRAMES_COVERAGE_H

int kvsf_watch(void *codec_context, int block, int fields);
void kvsf_unwatch(void *codec_context);
int kvsf_fill_uncovered(void *codec_context);

#endif
