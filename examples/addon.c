/* A native add-on of node's: what it and node's C++ allocate is moat's, V8's heap is not.
 * Build: cc -shared -fPIC addon.c -o addon.node; run: moat run -- node addon.js [overflow] */
#include <node_api.h>
#include <stdlib.h>
#include <string.h>

/* fill(allocated, written): a copy that may be too long for its buffer. */
static napi_value fill(napi_env env, napi_callback_info info)
{
    napi_value arguments[2], result = NULL;
    size_t count = 2;
    uint32_t allocated = 0, written = 0;
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 2 ||
        napi_get_value_uint32(env, arguments[0], &allocated) != napi_ok ||
        napi_get_value_uint32(env, arguments[1], &written) != napi_ok)
        return NULL;
    char *p = malloc(allocated);
    if (p == NULL)
        return NULL;
    memset(p, 'x', written);
    napi_create_string_utf8(env, p, allocated, &result);
    free(p);
    return result;
}

NAPI_MODULE_INIT()
{
    napi_value function = NULL;
    if (napi_create_function(env, "fill", NAPI_AUTO_LENGTH, fill, NULL, &function) == napi_ok)
        napi_set_named_property(env, exports, "fill", function);
    return exports;
}
