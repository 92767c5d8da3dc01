/* Sequences of operations, as the input's bytes say, on moat and on the model beside it.
 *
 * Each operation is a byte, its parameters the bytes that follow. Up to THREADS threads take turns: they are real ones,
 * with caches, births and ends of their own, but only one runs at a time, so that an input always does the same.
 * A forked child does the next operations and verifies all; the parent does them too.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "front/hot_names.h"
#include "fuzz/harness.h"
#include "fuzz/model.h"
#include "mem/classes.h"
#include "moat/moat.h"

#include "api/names.h" /* last: it renames */

enum {
    THREADS = 4,
    CHILD_OPERATIONS = 40,
    MOST_BYTES = 16 << 20, /* live at a time */
    HUGE_MOST = 8 << 20,
    /* What takes long does not come again before so many operations. The first is always done, so that an input that
     * needs one fails by itself too. */
    FORK_REST = 200000,
    LOOK_REST = 20000,
};

uint64_t fuzz_operations;
const size_t fuzz_longest = 65536;
const int fuzz_takes_noise = 1;

static const uint8_t *input;
static size_t left;
static bool in_child, caches_lost;
static uint64_t next_fork, next_look; /* by model_operations */
static size_t child_left;

static struct member {
    pthread_t thread;
    sem_t turn;
    bool alive, ends;
} members[THREADS]; /* 0 is the main one */
static unsigned current;
static bool over;

static unsigned byte(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static size_t pair(void)
{
    size_t high = byte();
    return high << 8 | byte();
}

static size_t size_code(void)
{
    unsigned kind = byte();
    if (kind < 224)
        return byte();
    if (kind < 250)
        return pair() % 1024;
    unsigned more = byte();
    if (kind < 254 || more < 64) { /* about the largest of a class */
        unsigned class = more % (kind < 254 ? 24 : MO_CLASS_LAST);
        return mo_class_capacity(&mo_sealed.classes[MO_CLASS_FIRST + class]) - 1 + kind % 3;
    }
    if (kind == 254) /* rare, and the larger the rarer: pages cost time */
        return more < 96 ? pair() * 2 + 3000 : pair() % 8192;
    if (more < 32)
        return MO_SMALL_MAX - 100 + pair() * 8;
    return more == 255 ? MO_SMALL_MAX + pair() * (HUGE_MOST / 65536) : more;
}

/* Room for n bytes more: else something is freed instead. */
static bool fits(size_t n)
{
    return model_count < MODEL_MOST && model_bytes + n <= MOST_BYTES;
}

static void release(struct model_chunk c, unsigned how)
{
    bool told = how % 2 != 0;
    errno = ERANGE;
    if (c.origin == MO_ORIGIN_MALLOC) {
        model_doing = "free";
        if (!told)
            free(c.p);
        else if (c.align == 0)
            free_sized(c.p, c.n);
        else
            free_aligned_sized(c.p, c.align, c.n);
    } else { /* as src/api/new.c does, which is not part of this build */
        model_doing = "delete";
        if (c.align != 0 && told)
            mo_release_sized_aligned(c.p, c.n, c.align, c.origin);
        else if (c.align != 0)
            mo_release_aligned(c.p, c.align, c.origin);
        else if (told)
            mo_hot_release_sized(c.p, c.n, c.origin);
        else
            mo_release(c.p, c.origin);
    }
    if (errno != ERANGE)
        fail("errno has become %d", errno);
}

static void free_one(void)
{
    size_t i = pair();
    unsigned how = byte();
    if (model_count != 0)
        release(model_take(i % model_count), how);
}

static void make_plain(unsigned how)
{
    static const char *const names[] = {"malloc", "calloc", "new", "new[]"};
    size_t n = size_code();
    enum mo_origin origin = how == 2 ? MO_ORIGIN_NEW : how == 3 ? MO_ORIGIN_NEW_ARRAY : MO_ORIGIN_MALLOC;
    if (!fits(n)) {
        free_one();
        return;
    }
    model_doing = names[how];
    errno = ERANGE;
    void *p = how == 0 ? malloc(n) : how == 1 ? (n % 3 == 0 ? calloc(n / 3, 3) : calloc(1, n)) : mo_allocate(n, origin);
    model_made(p, n, 0, origin);
    if (errno != ERANGE)
        fail("errno has become %d", errno);
}

static void make_aligned(unsigned how)
{
    static const char *const names[] = {"aligned_alloc", "memalign", "posix_memalign", "valloc", "pvalloc", "new"};
    size_t align = (size_t)1 << byte() % 18, n = size_code(), page = mo_sealed.features.page;
    void *p = NULL;
    enum mo_origin origin = MO_ORIGIN_MALLOC;
    if (how == 2)
        align = mo_max(align, sizeof(void *));
    if (how == 3 || how == 4)
        align = page;
    if (how == 4)
        n = mo_align_up(n, page);
    if (!fits(n)) {
        free_one();
        return;
    }
    model_doing = names[how];
    errno = ERANGE;
    switch (how) {
    case 0:
        p = aligned_alloc(align, n);
        break;
    case 1:
        p = memalign(align, n);
        break;
    case 2:
        if (posix_memalign(&p, align, n) != 0)
            fail("posix_memalign refuses %zu bytes at %zu", n, align);
        break;
    case 3:
        p = valloc(n);
        break;
    case 4:
        p = pvalloc(n > page / 2 ? n - page / 2 : n); /* rounds up to the same */
        break;
    default:
        origin = MO_ORIGIN_NEW;
        p = mo_allocate_aligned(n, align, origin);
    }
    model_made(p, n, align, origin);
    if (errno != ERANGE)
        fail("errno has become %d", errno);
}

/* realloc, once or as a chain of growing or shrinking steps. */
static void resize(size_t steps)
{
    size_t i = pair();
    if (model_count == 0)
        return;
    i %= model_count;
    struct model_chunk *c = &model_chunks[i];
    if (c->origin != MO_ORIGIN_MALLOC)
        return;
    size_t n = size_code(), step = byte() + 1;
    for (; steps > 0; steps--) {
        if (n == 0 || model_bytes - c->n + n > MOST_BYTES)
            return;
        model_doing = "realloc";
        model_check(c);
        void *q = realloc(c->p, n);
        if (q == NULL)
            fail("no memory for %zu bytes", n);
        model_resized(i, q, n);
        n = step % 2 != 0 ? n + n / 4 + step : n - mo_min(n, n / 4 + step);
    }
}

static void resize_to_nothing(void)
{
    size_t i = pair();
    if (model_count == 0)
        return;
    i %= model_count;
    if (model_chunks[i].origin != MO_ORIGIN_MALLOC)
        return;
    struct model_chunk c = model_take(i);
    model_doing = "realloc to 0";
    if (realloc(c.p, 0) != NULL)
        fail("realloc to 0 bytes gave memory");
}

/* What must be refused, and leave all as it was. */
static void refuse(void)
{
    static volatile size_t much = SIZE_MAX, more_than_half = SIZE_MAX / 2 + 1, odd = 24;
    unsigned which = byte();
    size_t i = pair();
    void *p = NULL, *before = p;
    int wanted = ENOMEM;
    model_doing = "a refusal";
    errno = 0;
    switch (which % 8) {
    case 0:
        p = malloc(much - i);
        break;
    case 1:
        p = calloc(more_than_half + i, 2);
        break;
    case 2:
        p = aligned_alloc(odd, i);
        wanted = EINVAL;
        break;
    case 3:
        p = aligned_alloc(odd * (1 + i), 8); /* memalign rounds up */
        wanted = EINVAL;
        break;
    case 4:
        if (posix_memalign(&p, odd, i) != EINVAL || posix_memalign(&p, 64, much - i) != ENOMEM || p != before)
            fail("posix_memalign does not refuse");
        errno = wanted;
        break;
    case 5:
        p = pvalloc(much - i);
        break;
    case 6:
        if (model_count != 0 && model_chunks[i % model_count].origin == MO_ORIGIN_MALLOC)
            p = realloc(model_chunks[i % model_count].p, much - i);
        else
            errno = wanted;
        break;
    default:
        p = aligned_alloc(more_than_half, 1 + i);
    }
    if (p != NULL || errno != wanted)
        fail("refusal %u gave %p, errno %d", which % 8, p, errno);
}

static void look(void)
{
    next_look = model_operations + LOOK_REST;
    model_doing = "moat_check_heap";
    size_t live = moat_check_heap();
    if (caches_lost ? live < model_count : live != model_count)
        fail("%zu chunks are live, the model has %zu", live, model_count);
    model_doing = "a look at all contents";
    model_check_all();
}

static void ask(void)
{
    static FILE *nowhere;
    size_t value;
    unsigned which = byte();
    switch (which % 8) {
    case 0:
        model_doing = "malloc_trim";
        (void)malloc_trim(0);
        break;
    case 1:
        model_doing = "moat_purge";
        (void)moat_purge();
        break;
    case 2:
        model_doing = "mallopt";
        (void)mallopt((int)which - 100, (int)pair());
        break;
    case 3:
        model_doing = "malloc_info";
        if (nowhere == NULL)
            nowhere = fopen("/dev/null", "w");
        if (nowhere != NULL && malloc_info(0, nowhere) != 0)
            fail("malloc_info refuses");
        break;
    case 4:
        model_doing = "moat_option";
        if (moat_option("profile", &value) != 0 || value >= MO_PROFILES)
            fail("no profile");
        break;
    default:
        if (model_operations >= next_look)
            look();
        model_doing = "statistics";
        model_statistics(!caches_lost);
    }
}

/* A forked child does what follows, and verifies all. */
static void start_child(void)
{
    int status;
    if (in_child || model_operations < next_fork)
        return;
    next_fork = model_operations + FORK_REST;
    model_doing = "fork";
    pid_t pid = fork();
    if (pid == 0) {
        in_child = true;
        caches_lost = true; /* of the threads that are not here */
        child_left = CHILD_OPERATIONS;
        return;
    }
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
        fail("the child ended with status %x", (unsigned)status);
}

static void *thread_main(void *number);

/* The main thread got the turn back: from one that has ended? */
static void join_ended(void)
{
    for (unsigned i = 1; i < THREADS; i++) {
        if (!members[i].alive || !members[i].ends)
            continue;
        pthread_join(members[i].thread, NULL);
        members[i].alive = false;
    }
    current = 0;
}

/* Thread number `to` goes on, and this one waits. */
static void hand_over(unsigned to)
{
    unsigned self = current;
    if (to == self || in_child)
        return;
    current = to;
    if (!members[to].alive) {
        members[to].alive = true;
        members[to].ends = false;
        if (pthread_create(&members[to].thread, NULL, thread_main, (void *)(uintptr_t)to) != 0) {
            members[to].alive = false;
            current = self;
            return;
        }
    } else {
        sem_post(&members[to].turn);
    }
    while (sem_wait(&members[self].turn) != 0)
        ;
    if (self == 0)
        join_ended();
}

static void operate(void)
{
    unsigned what = byte();
    model_operations++;
    if (what < 80)
        make_plain(what % 4);
    else if (what < 96)
        make_aligned(what % 6);
    else if (what < 178)
        free_one();
    else if (what < 212)
        resize(1);
    else if (what < 216)
        resize(8);
    else if (what < 218)
        resize_to_nothing();
    else if (what < 235 && model_count != 0)
        model_rewrite(pair() % model_count);
    else if (what < 236)
        hand_over(byte() % THREADS);
    else if (what == 241 && current != 0 && !in_child)
        members[current].ends = true;
    else if (what == 242 && byte() < 16)
        start_child();
    else if (what == 243 && byte() < 64)
        ask();
    else if (what < 246)
        refuse();
    else if (what == 246)
        free(NULL);
}

static void verify_and_leave(void)
{
    look();
    while (model_count > 0)
        release(model_take(model_count - 1), 0);
    look();
    _exit(0);
}

/* Operations, for as long as this thread is to run. */
static void go_on(void)
{
    while (left > 0 && !members[current].ends && !over) {
        operate();
        if (in_child && (child_left-- == 0 || left == 0))
            verify_and_leave();
    }
}

static void *thread_main(void *number)
{
    unsigned self = (unsigned)(uintptr_t)number;
    go_on();
    members[self].ends = true; /* its end is the main thread's to wait for */
    sem_post(&members[0].turn);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started)
        for (unsigned i = 0; i < THREADS; i++)
            sem_init(&members[i].turn, 0, 0);
    started = members[0].alive = true;
    input = data;
    left = size;
    over = false;
    current = 0;
    while (left > 0) {
        go_on();
        join_ended();
    }
    over = true;
    for (unsigned i = 1; i < THREADS; i++) { /* those that wait for their turn */
        if (!members[i].alive)
            continue;
        current = i;
        sem_post(&members[i].turn);
        while (sem_wait(&members[0].turn) != 0)
            ;
        join_ended();
    }
    model_doing = "the end";
    model_statistics(true);
    model_check_all();
    while (model_count > 0)
        release(model_take(model_count - 1), (unsigned)model_count);
    model_statistics(true);
    if (model_operations >= next_look)
        look();
    fuzz_operations = model_operations;
    return 0;
}
