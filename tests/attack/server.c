/* A server to be attacked, by `exploit`: it forks a child for each connection, and its objects have every bug.
 * PATH: the socket. A connection says, a line each:
 *   new          an object; answers its number. 0 to 63 are of before the fork
 *   put N HEX    writes bytes from its start on, however many
 *   get N COUNT  reads bytes from its start on, however many
 *   del N        frees it, and keeps the pointer
 *   vault        the victim's object, of the same size, made now; without it the one of before the fork is meant
 *   open         answers `granted` when the vault's first byte is 1
 *   end          frees the objects and the vault, as a request's end does
 * On standard output: a line for each child, how it ended. */
#include "attack.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { SIZE = 64, BEFORE = 64, MOST = 4096, LINE = 8192 };
static unsigned char *objects[MOST], *vault;
static bool gone[MOST];
static size_t count;

static void put(unsigned char *to, const char *hex)
{
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        *to++ = (unsigned char)byte;
}

static void get(FILE *peer, const unsigned char *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(peer, "%02x", from[i]);
    fprintf(peer, "\n");
}

static void end_request(void)
{
    for (size_t i = 0; i < count; i++)
        if (!gone[i])
            free(objects[i]);
    free(vault);
}

static void serve(FILE *peer)
{
    static char line[LINE];
    while (fgets(line, sizeof line, peer)) {
        size_t n = 0, bytes = 0;
        char *rest = strchr(line, ' ');
        if (rest)
            n = strtoul(rest, &rest, 10) % MOST;
        if (strncmp(line, "new", 3) == 0 && count < MOST) {
            objects[count] = take(SIZE);
            fprintf(peer, "%zu\n", count++);
            continue;
        }
        if (strncmp(line, "put", 3) == 0)
            put(objects[n], rest + 1);
        if (strncmp(line, "get", 3) == 0 && (bytes = strtoul(rest, NULL, 10)) != 0) {
            get(peer, objects[n], bytes);
            continue;
        }
        if (strncmp(line, "del", 3) == 0) {
            free(objects[n]);
            gone[n] = true;
        }
        if (strncmp(line, "vault", 5) == 0)
            vault = memset(take(SIZE), 0, SIZE);
        if (strncmp(line, "end", 3) == 0)
            end_request();
        fprintf(peer, "%s\n", strncmp(line, "open", 4) == 0 ? (vault[0] == 1 ? "granted" : "refused") : "done");
        if (strncmp(line, "end", 3) == 0)
            return;
    }
}

static void one_child(int listener)
{
    int connection = accept(listener, NULL, NULL), status;
    pid_t child = connection < 0 ? -1 : fork();
    if (child < 0)
        fail("no connection or no child");
    if (child == 0) {
        static char buffer[LINE];
        FILE *peer = fdopen(connection, "r+");
        setvbuf(peer, buffer, _IONBF, 0);
        serve(peer);
        _exit(0);
    }
    close(connection);
    waitpid(child, &status, 0);
    printf("%s\n", WIFSIGNALED(status) ? (WTERMSIG(status) == SIGABRT ? "reported" : "faulted") : "ended");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(name.sun_path, sizeof name.sun_path, "%s", word(argv, 1));
    /* What a server has done before: its heap is warm. */
    churn(SIZE, 2000);
    for (; count < BEFORE; count++) {
        objects[count] = take(SIZE);
        if (count == BEFORE / 2)
            vault = memset(take(SIZE), 0, SIZE);
    }
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 16) != 0)
        fail("can't listen at %s", name.sun_path);
    printf("ready\n");
    fflush(stdout);
    for (;;)
        one_child(listener);
}
