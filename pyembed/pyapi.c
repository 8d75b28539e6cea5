#define _GNU_SOURCE
#include "pyapi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pyapi py;

static char *pyapi_error(const char *what, const char *detail) {
    char *text = NULL;
    if (asprintf(&text, "%s%s", what, detail ? detail : "") < 0)
        return strdup("out of memory");
    return text;
}

char *pyapi_open(const char *library) {
    /* RTLD_GLOBAL: extension modules find the API there, they do not link it. */
    void *lib = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    if (!lib)
        return pyapi_error("", dlerror());
    const char *missing = NULL;
#define LOOKUP(target, symbol)                                                 \
    do {                                                                       \
        void *found = dlsym(lib, symbol);                                      \
        memcpy(&(target), &found, sizeof found);                               \
        if (!found && !missing)                                                \
            missing = symbol;                                                  \
    } while (0);
#define FUNCTION(ret, name, args) LOOKUP(py.name, #name)
#define OBJECT(name) LOOKUP(py.name, #name)
    PY_FUNCTIONS(FUNCTION)
    PY_OBJECTS(OBJECT)
    PY_EXCEPTIONS(OBJECT)
    if (missing)
        return pyapi_error("it is no CPython of a known version: there is no ", missing);
    /* The symbols are variables, set statically, that point to the classes. */
#define EXCEPTION(name) py.name = *(PyObject **)py.name;
    PY_EXCEPTIONS(EXCEPTION)
    PY_OPTIONAL(FUNCTION)
    LOOKUP(py.utf8_mode, "Py_UTF8Mode")
    return NULL;
}
