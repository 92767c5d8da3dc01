/* What strace looks at: threads and a child write through a pipe into a file. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *fill(void *size)
{
    char *text = malloc(*(size_t *)size);
    if (text)
        memset(text, 'x', *(size_t *)size);
    return text;
}

int main(void)
{
    int ends[2], result = open("result", O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (result < 0 || pipe(ends))
        return 2;
    size_t sizes[] = {10, 200, 3000};
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *text = NULL;
        if (pthread_create(&thread, NULL, fill, &sizes[i]) || pthread_join(thread, &text) || !text)
            return 3;
        if (write(result, text, sizes[i]) != (ssize_t)sizes[i])
            return 1;
        free(text);
    }
    pid_t child = fork();
    if (child == 0) {
        char *text = strdup("from the child\n");
        if (!text || write(ends[1], text, strlen(text)) < 0)
            _exit(4);
        free(text);
        _exit(5);
    }
    char text[100];
    int status = 0;
    ssize_t size = read(ends[0], text, sizeof text);
    if (size < 0 || write(result, text, (size_t)size) != size || waitpid(child, &status, 0) != child)
        return 1;
    printf("%d\n", WEXITSTATUS(status));
    return 0;
}
