/* What a child process knows of the restrictions that it started with. */
#ifndef KVSFRAMES_SANDBOX_H
#define KVSFRAMES_SANDBOX_H

enum { KVSF_MARK_SIZE = 64 };

typedef struct {
	/* The text that the parent gave; empty in a process that is no child. */
	char mark[KVSF_MARK_SIZE];
	int seccomp, landlock;
} kvsf_sandbox_state;

extern kvsf_sandbox_state kvsf_sandbox;

/* Gives back to the system the signals of faults, which the Go runtime handles. */
void kvsf_default_faults(void);

#endif
