/* The filter of system calls. */
#ifndef KVSFRAMES_FILTER_H
#define KVSFRAMES_FILTER_H

/* Allows the process no more system calls than computing needs. Returns whether the filter is in force. */
int kvsf_filter(void);

#endif
