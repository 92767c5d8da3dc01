#ifndef FUZZING_PROGRAM_H
#define FUZZING_PROGRAM_H

#define APART __attribute__((noinline))

/* The cases whose names begin with "hot" (hot.c). */
int hot_case(const char *name);

/* forks.c */
int forks(void);
int before_forks(void);

#endif
