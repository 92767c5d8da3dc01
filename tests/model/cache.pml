/* The protocol of slots between threads, as a model for spin: a slot goes from its shard into a thread's cache, to the
 * program, to any thread that frees it, through that one's cache, and home; threads end, their caches serve others; and
 * any thread may fork at any time, also in a signal's handler that has interrupted it while it held the shard's lock.
 *
 * What is left out: random choice (all choices are tried), classes and shards (one each), headers, memory. What each
 * statement stands for is in src/front/hot.h (free, malloc), src/front/thread.c (flush, drain, exit, fork),
 * src/arena/arena.c (take, put), src/cache/cache.c (pool) and src/os/lock.c.
 *
 * Properties, as assertions:
 *   - no slot has two owners in the program;
 *   - with a correct program nothing is reported, and no slot is lost or listed twice;
 *   - nobody waits for ever, neither in a parent nor in a child.
 * RACY: the program may free each chunk by two threads at the same time: then only the first property must hold. It
 * rests on a slot's stay in the quarantine being longer than the few instructions between a free's look at the state word
 * and its change. `run` takes out that and other things, one by one, and expects the model to fail. */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef STEPS
#define STEPS 3
#endif
#define CACHES THREADS
#define SHARD 0 /* state words: the owner, or LIVE */
#define SHARED 8
#define LIVE 9
#define NONE 7
#define POOL 0 /* locks, in their order */
#define BIN 1
#define FREE 255

byte state[SLOTS];
bool home[SLOTS];                /* the shard's */
byte listed[CACHES * SLOTS];     /* how often each cache has each slot */
bool waits[CACHES * SLOTS];      /* ... and in its quarantine */
bool idle[CACHES], made[CACHES]; /* the pool */
byte lock[2] = {FREE, FREE};
byte for_fork[2];
bool in_child, reported;
byte forker = 255, done;
bool child_done;

/* Of the program */
byte held[SLOTS];    /* how often it may free it */
byte owners[SLOTS];  /* how often it has been given it */
byte looking[SLOTS]; /* threads between their look at the state word and its change */

#define AT(c, s) ((c) * SLOTS + (s))
#ifdef RACY
#define REPORT reported = true; goto stopped
#define TIMES 2
#else
#define REPORT assert(false)
#define TIMES 1
#endif
#ifdef NO_WAIT
#define WAITED(s) true
#else
#define WAITED(s) (looking[s] == 0 || in_child)
#endif

inline take_lock(l)
{
    atomic { lock[l] == FREE -> lock[l] = me }
}

inline give_lock(l)
{
    assert(lock[l] == me);
    lock[l] = FREE
}

inline any_slot(s)
{
    s = 0;
    do
    :: s + 1 < SLOTS -> s++
    :: break
    od
}

/* A fork, with the lock `own` held by the interrupted thread, or NONE. It goes on in the parent or in the child. */
inline fork_now(own)
{
    if
    :: own == NONE ->
        take_lock(POOL);
        for_fork[POOL] = 1;
#ifndef FORK_WITHOUT_BIN
        take_lock(BIN);
        for_fork[BIN] = 1
#endif
    :: else -> /* it waits for no other lock for ever; here: it has it or not */
#ifdef FORK_WAITS
        take_lock(POOL);
        for_fork[POOL] = 1
#else
        if
        :: atomic { lock[POOL] == FREE -> lock[POOL] = me; for_fork[POOL] = 1 }
        :: lock[POOL] != FREE -> skip
        fi
#endif
    fi;
    if
    :: skip /* the parent */
    :: atomic { !in_child -> forker = _pid; in_child = true }
    fi;
    d_step {
        i = 0;
        do
        :: i < 2 ->
            if
            :: lock[i] == me && for_fork[i] -> lock[i] = FREE; for_fork[i] = 0
            :: else ->
                if
                :: in_child && lock[i] != me -> lock[i] = FREE; for_fork[i] = 0
                :: else
                fi
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

/* put: from cache or hand to the shard, under the lock. */
inline put(s, owner)
{
    WAITED(s); /* a drain takes longer than a look, too */
    if
    :: state[s] != owner || home[s] -> give_lock(BIN); REPORT
    :: else
    fi;
    state[s] = SHARD;
    home[s] = true
}

inline drain()
{
    i = 0;
    do
    :: i < SLOTS && listed[AT(mine, i)] > 0 ->
        take_lock(BIN);
        if
        :: i == 0 -> fork_now(BIN) /* in a handler */
        :: skip
        fi;
        s = i;
        /* fork_now has used i */
        listed[AT(mine, s)]--;
        waits[AT(mine, s)] = false;
        put(s, mine + 1);
        give_lock(BIN);
        i = s
    :: i < SLOTS && listed[AT(mine, i)] == 0 -> i++
    :: i == SLOTS -> break
    od;
    i = 0
}

proctype thread(byte me) provided (!in_child || forker == _pid)
{
    byte mine = NONE, s, i, seen, steps;
    /* birth: an idle cache, or a new one */
    take_lock(POOL);
    do
    :: mine + 1 < CACHES || mine == NONE ->
        mine = (mine == NONE -> 0 : mine + 1);
        if
        :: idle[mine] -> idle[mine] = false; break
        :: !made[mine] -> made[mine] = true; break
        :: else
        fi
    od;
    give_lock(POOL);
    do
    :: steps < STEPS ->
        steps++;
        any_slot(s);
        if
        :: listed[AT(mine, s)] > 0 && !waits[AT(mine, s)] -> /* malloc: pop */
            listed[AT(mine, s)]--;
            seen = state[s];
#ifndef NO_OWNER
            if
            :: seen != mine + 1 -> REPORT
            :: else
            fi;
#endif
            state[s] = LIVE;
            atomic { owners[s]++; assert(owners[s] == 1); held[s] = TIMES }
        :: waits[AT(mine, s)] && WAITED(s) -> waits[AT(mine, s)] = false /* long enough */
        :: home[s] -> /* malloc: refill */
            take_lock(BIN);
            if
            :: home[s] ->
                if
                :: state[s] != SHARD -> give_lock(BIN); REPORT
                :: else
                fi;
                fork_now(BIN); /* in a handler that has interrupted it; STEPS bounds how often */
                state[s] = mine + 1;
                home[s] = false;
                listed[AT(mine, s)]++
            :: else
            fi;
            give_lock(BIN)
        :: atomic { held[s] > 0 -> held[s]--; owners[s] = 0; looking[s]++ } /* free, of whoever's chunk */
            seen = state[s];
            if
            :: seen != LIVE -> looking[s]--; REPORT
            :: else
            fi;
            atomic { state[s] = mine + 1; looking[s]--; held[s] = 0 }
            listed[AT(mine, s)]++;
            waits[AT(mine, s)] = true
        :: drain()
        :: fork_now(NONE)
        fi
    :: break /* the thread ends */
    od;
    if
    :: skip /* the pool has room: the cache keeps what it has */
    :: /* it is full */
#ifdef GIVE_FIRST
        take_lock(POOL);
        idle[mine] = true;
        give_lock(POOL);
#endif
        drain()
    fi;
    take_lock(POOL);
    idle[mine] = true;
    give_lock(POOL);
    any_slot(s);
    if
    :: atomic { held[s] > 0 -> held[s]--; owners[s] = 0; looking[s]++ } /* a destructor frees: straight to the shard */
        seen = state[s];
        if
        :: seen != LIVE -> looking[s]--; REPORT
        :: else
        fi;
        atomic { state[s] = SHARED; looking[s]--; held[s] = 0 }
        take_lock(BIN);
        put(s, SHARED);
        give_lock(BIN)
    :: skip
    fi;
stopped:
    done++;
    child_done = in_child
}

/* When nothing can go on any more: all have ended, or in a child the one that there is. And each slot is somewhere, once,
 * but for those of the threads that a child does not have. */
active proctype watch()
{
    byte s, c, places;
    atomic {
        s = 0;
        do
        :: s < SLOTS -> home[s] = true; s++
        :: else -> break
        od;
        s = 0;
        do
        :: s < THREADS -> run thread(s); s++
        :: else -> break
        od
    }
    timeout;
    assert(reported || in_child || done == THREADS);
    assert(reported || !in_child || child_done);
    d_step {
        s = 0;
        do
        :: s < SLOTS && !reported && !in_child ->
            places = home[s] + (held[s] > 0);
            c = 0;
            do
            :: c < CACHES -> places = places + listed[AT(c, s)]; c++
            :: else -> break
            od;
#ifndef RACY
            assert(places == 1);
#endif
            s++
        :: else -> break
        od
    }
}
