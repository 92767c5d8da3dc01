/* A server: the main thread reads requests and hands them to four workers; a worker keeps sessions, builds an answer
 * from several pieces and frees the request; the main thread frees the answers. */
#include "work.h"

#include <pthread.h>

enum { WORKERS = 4, QUEUE = 64, SESSIONS = 300, PIECES = 6 };

struct message {
    uint64_t value;
    size_t size;
    unsigned char body[];
};

/* A queue of one worker: requests on their way in, answers on their way out. */
struct lane {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct message *requests[QUEUE];
    struct message *answers[QUEUE];
    size_t put, taken, answered, collected;
    size_t total;
};

static struct message *message(uint64_t value, size_t size)
{
    struct message *m = work_alloc(sizeof *m + size);
    m->value = value;
    m->size = size;
    m->body[0] = (unsigned char)value;
    m->body[size - 1] = (unsigned char)size;
    return m;
}

static struct message *next_request(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (lane->taken == lane->put)
        pthread_cond_wait(&lane->changed, &lane->lock);
    struct message *m = lane->requests[lane->taken++ % QUEUE];
    pthread_mutex_unlock(&lane->lock);
    return m;
}

static void answer(struct lane *lane, struct message *m)
{
    pthread_mutex_lock(&lane->lock);
    lane->answers[lane->answered++ % QUEUE] = m;
    pthread_cond_broadcast(&lane->changed);
    pthread_mutex_unlock(&lane->lock);
}

static void *serve(void *argument)
{
    struct lane *lane = argument;
    struct work_random r = work_seed(lane->total);
    struct message *sessions[SESSIONS] = {0};
    for (size_t i = 0; i < lane->total; i++) {
        struct message *request = next_request(lane);
        struct message **session = &sessions[work_below(&r, SESSIONS)];
        free(*session);
        *session = message(request->value, work_size(&r, 32, 512));
        unsigned char *pieces[PIECES];
        size_t sizes[PIECES], whole = 0;
        for (unsigned k = 0; k < PIECES; k++) {
            sizes[k] = work_size(&r, 16, 256);
            pieces[k] = work_alloc(sizes[k]);
            memset(pieces[k], (int)(request->value + k), sizes[k]);
            whole += sizes[k];
        }
        uint64_t sum = request->value + request->body[request->size - 1];
        struct message *reply = message(sum, whole);
        for (unsigned k = 0, at = 0; k < PIECES; at += (unsigned)sizes[k++]) {
            memcpy(reply->body + at, pieces[k], sizes[k]);
            free(pieces[k]);
        }
        free(request);
        answer(lane, reply);
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        free(sessions[i]);
    return NULL;
}

/* Takes what has been answered; the lock is held. */
static uint64_t collect_locked(struct lane *lane)
{
    uint64_t sum = 0;
    while (lane->collected < lane->answered) {
        struct message *m = lane->answers[lane->collected++ % QUEUE];
        sum += m->value + m->body[0];
        free(m);
    }
    return sum;
}

static uint64_t hand_over(struct lane *lane, struct message *m)
{
    pthread_mutex_lock(&lane->lock);
    uint64_t sum = collect_locked(lane);
    while (lane->put - lane->collected == QUEUE) {
        pthread_cond_wait(&lane->changed, &lane->lock);
        sum += collect_locked(lane);
    }
    lane->requests[lane->put++ % QUEUE] = m;
    pthread_cond_broadcast(&lane->changed);
    pthread_mutex_unlock(&lane->lock);
    return sum;
}

int main(int argc, char **argv)
{
    static struct lane lanes[WORKERS];
    pthread_t threads[WORKERS];
    size_t requests = work_scaled(argc, argv, 1000000) / WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        lanes[i].total = requests;
        pthread_mutex_init(&lanes[i].lock, NULL);
        pthread_cond_init(&lanes[i].changed, NULL);
        if (pthread_create(&threads[i], NULL, serve, &lanes[i]) != 0)
            return 2;
    }
    struct work_random r = work_seed(13);
    uint64_t sum = 0; /* the order of answers is left to chance, so it is a plain sum */
    for (size_t i = 0; i < requests * WORKERS; i++)
        sum += hand_over(&lanes[i % WORKERS], message(i, work_size(&r, 64, 4096)));
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        sum += collect_locked(&lanes[i]);
    }
    return work_done(sum);
}
