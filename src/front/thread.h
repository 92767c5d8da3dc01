/* Threads and forks: how a thread gets its cache, how it leaves it, what fork does to all of it. */
#ifndef MO_THREAD_H
#define MO_THREAD_H

#include "cache/cache.h"

/* The calling thread's cache, made if it has none; NULL when it is about to end or there is no memory. */
struct mo_cache *mo_thread_cache(void);

/* A class of a forked child's cache that has been set aside comes into use: before anything is taken from it or added
 * to it. */
void mo_thread_settle(struct mo_cache *c, unsigned class);

/* Fills the stock of a class; how many slots it holds now. */
size_t mo_thread_refill(struct mo_cache *c, unsigned class);

/* Gives back the older half of the ready slots of a class, after a check that they are clean. */
void mo_thread_flush(struct mo_cache *c, unsigned class);

/* Gives back everything: ready slots and quarantine. */
void mo_thread_drain(struct mo_cache *c);

/* A heap's cache, whose lock is held, comes into use: after a fork as a thread's own. Emptied: its slots are forgotten,
 * and it is as it was made. */
void mo_thread_inherit(struct mo_cache *c);
void mo_thread_forget(struct mo_cache *c);

/* A stream for threads without a cache, locked until mo_thread_random_done. */
struct mo_random *mo_thread_random(void);
void mo_thread_random_done(void);

/* Part of start-up: the key whose destructor runs at thread exit. shared: the stream of threads without a cache;
 * all[count]: the streams that a forked child has to mark for a new key. */
void mo_thread_start(struct mo_random *shared, struct mo_random *all, size_t count);

#endif
