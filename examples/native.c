/* The native half of Native.java. Build: cc -shared -fPIC -I$JAVA_HOME/include -I$JAVA_HOME/include/linux native.c */
#include <jni.h>
#include <stdlib.h>
#include <string.h>

JNIEXPORT jint JNICALL Java_Native_fill(JNIEnv *env, jclass class, jint allocated, jint written)
{
    (void)env;
    (void)class;
    char *p = malloc((size_t)allocated);
    if (p == NULL)
        return -1;
    memset(p, 'x', (size_t)written);
    jint n = p[allocated - 1] == 'x' ? allocated : 0;
    free(p);
    return n;
}
