/* dlopen and dlclose of a library that allocates, from several threads. The argument is the library. */
#include <pthread.h>

#include "life.h"

static const char *path;

static void *load(void *arg)
{
    for (int i = 0; i < 60; i++) {
        void *library = dlopen(path, i % 2 == 0 ? RTLD_NOW : RTLD_LAZY);
        require(library != NULL, "dlopen");
        void *(*make)(size_t) = (void *(*)(size_t))dlsym(library, "plugin_make");
        void (*end)(void) = (void (*)(void))dlsym(library, "plugin_end");
        require(make != NULL && end != NULL, "dlsym");
        void *p = make(5000);
        require(p != NULL && malloc_usable_size(p) == 5000 && filled(p, 5000, 3), "plugin_make");
        end();
        require(dlclose(library) == 0, "dlclose");
        free(p);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[4];
    require(argc == 2, "no plugin named");
    path = argv[1];
    require_moat();
    load(NULL);
    for (size_t i = 0; i < 4; i++)
        require(pthread_create(&threads[i], NULL, load, NULL) == 0, "pthread_create");
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
