/*
 * The part of CPython's C API that gowsgi uses, as one table of function pointers
 * filled by dlsym: no Python header is needed to build, and one binary serves
 * every CPython from 3.10 on. Everything in PY_FUNCTIONS and PY_OBJECTS belongs to
 * the stable ABI (PEP 652) unless PY_OPTIONAL says otherwise; the structs below
 * are part of that ABI too.
 *
 * Adding a function is one line here.
 */
#ifndef GOWSGI_PYAPI_H
#define GOWSGI_PYAPI_H

#include <stddef.h>
#include <sys/types.h>
#include <wchar.h>

typedef struct PyObject PyObject;
typedef struct PyThreadState PyThreadState;
typedef ssize_t Py_ssize_t;

typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef struct {
    const char *ml_name;
    PyCFunction ml_meth;
    int ml_flags;
    const char *ml_doc;
} PyMethodDef;

enum { METH_KEYWORDS = 0x02, METH_O = 0x08, METH_FASTCALL = 0x80 };
enum { PY_FILE_INPUT = 257 };
#define PY_VECTORCALL_OFFSET ((size_t)1 << (8 * sizeof(size_t) - 1))

#define PY_FUNCTIONS(X)                                                        \
    X(void, Py_InitializeEx, (int))                                            \
    X(int, Py_FinalizeEx, (void))                                              \
    X(wchar_t *, Py_DecodeLocale, (const char *, size_t *))                    \
    X(PyThreadState *, PyEval_SaveThread, (void))                              \
    X(void, PyEval_RestoreThread, (PyThreadState *))                           \
    X(int, PyGILState_Ensure, (void))                                          \
    X(void, PyGILState_Release, (int))                                         \
    X(void, Py_IncRef, (PyObject *))                                           \
    X(void, Py_DecRef, (PyObject *))                                           \
    X(PyObject *, Py_CompileString, (const char *, const char *, int))         \
    X(PyObject *, PyEval_EvalCode, (PyObject *, PyObject *, PyObject *))       \
    X(PyObject *, PyImport_ImportModule, (const char *))                       \
    X(PyObject *, PyErr_Occurred, (void))                                      \
    X(void, PyErr_Clear, (void))                                               \
    X(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **))              \
    X(void, PyErr_Restore, (PyObject *, PyObject *, PyObject *))               \
    X(void, PyErr_NormalizeException, (PyObject **, PyObject **, PyObject **)) \
    X(PyObject *, PyErr_Format, (PyObject *, const char *, ...))               \
    X(void, PyErr_SetString, (PyObject *, const char *))                       \
    X(int, PyErr_ExceptionMatches, (PyObject *))                               \
    X(int, PyErr_GivenExceptionMatches, (PyObject *, PyObject *))              \
    X(int, PyException_SetTraceback, (PyObject *, PyObject *))                 \
    X(PyObject *, PyObject_Type, (PyObject *))                                 \
    X(PyObject *, PyObject_GetAttr, (PyObject *, PyObject *))                  \
    X(PyObject *, PyObject_GetAttrString, (PyObject *, const char *))          \
    X(PyObject *, PyObject_CallFunctionObjArgs, (PyObject *, ...))             \
    X(PyObject *, PyObject_GetIter, (PyObject *))                              \
    X(PyObject *, PyIter_Next, (PyObject *))                                   \
    X(int, PyType_IsSubtype, (PyObject *, PyObject *))                         \
    X(PyObject *, PyCFunction_NewEx, (PyMethodDef *, PyObject *, PyObject *))  \
    X(PyObject *, PyDict_New, (void))                                          \
    X(PyObject *, PyDict_Copy, (PyObject *))                                   \
    X(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *))               \
    X(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *))       \
    X(Py_ssize_t, PyList_Size, (PyObject *))                                   \
    X(PyObject *, PyList_GetItem, (PyObject *, Py_ssize_t))                    \
    X(Py_ssize_t, PyTuple_Size, (PyObject *))                                  \
    X(PyObject *, PyTuple_GetItem, (PyObject *, Py_ssize_t))                   \
    X(PyObject *, PyBytes_FromStringAndSize, (const char *, Py_ssize_t))       \
    X(int, PyBytes_AsStringAndSize, (PyObject *, char **, Py_ssize_t *))       \
    X(PyObject *, PyUnicode_DecodeLatin1,                                      \
      (const char *, Py_ssize_t, const char *))                                \
    X(PyObject *, PyUnicode_DecodeUTF8,                                        \
      (const char *, Py_ssize_t, const char *))                                \
    X(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, Py_ssize_t *))       \
    X(void, PyUnicode_InternInPlace, (PyObject **))                            \
    X(PyObject *, PyLong_FromLongLong, (long long))                            \
    X(long long, PyLong_AsLongLong, (PyObject *))

/* Looked up one by one; NULL where the running CPython lacks them. */
#define PY_OPTIONAL(X)                                                         \
    /* deprecated since 3.11, gone in 3.15 */                                  \
    X(void, Py_SetProgramName, (const wchar_t *))                              \
    /* exported since 3.12 */                                                  \
    X(PyObject *, PyObject_Vectorcall,                                         \
      (PyObject *, PyObject *const *, size_t, PyObject *))                     \
    /* exported by every CPython since 3.7, though outside the stable ABI */   \
    X(PyObject *, PyContext_New, (void))                                       \
    X(PyObject *, PyContext_CopyCurrent, (void))                               \
    X(PyObject *, PyContext_Copy, (PyObject *))                                \
    X(int, PyContext_Enter, (PyObject *))                                      \
    X(int, PyContext_Exit, (PyObject *))

/* Objects: the address of the struct itself. */
#define PY_OBJECTS(X)                                                          \
    X(_Py_NoneStruct) X(PyBytes_Type) X(PyUnicode_Type) X(PyList_Type)         \
    X(PyTuple_Type)

/* Exceptions: libpython exports a variable that points to each. */
#define PY_EXCEPTIONS(X)                                                       \
    X(PyExc_TypeError) X(PyExc_ValueError) X(PyExc_RuntimeError)               \
    X(PyExc_AssertionError) X(PyExc_SystemExit) X(PyExc_ConnectionError)       \
    X(PyExc_AttributeError) X(PyExc_BaseException)

#define PY_FIELD(ret, name, args) ret(*name) args;
#define PY_OBJECT(name) PyObject *name;
struct pyapi {
    PY_FUNCTIONS(PY_FIELD)
    PY_OPTIONAL(PY_FIELD)
    PY_OBJECTS(PY_OBJECT)
    PY_EXCEPTIONS(PY_OBJECT)
    int *utf8_mode; /* Py_UTF8Mode; NULL where it is gone */
};
#undef PY_FIELD
#undef PY_OBJECT

/* Filled once by pyapi_open, read-only afterwards. */
extern struct pyapi py;

/*
 * Opens libpython and fills the table. Returns NULL, or what failed as a string
 * from malloc that the caller frees. Not thread-safe; call once.
 */
char *pyapi_open(const char *library);

/* Calls f with two arguments; a new reference or NULL. */
static inline PyObject *py_call2(PyObject *f, PyObject *a, PyObject *b) {
    if (py.PyObject_Vectorcall) {
        PyObject *args[3] = {NULL, a, b};
        return py.PyObject_Vectorcall(f, args + 1, 2 | PY_VECTORCALL_OFFSET, NULL);
    }
    return py.PyObject_CallFunctionObjArgs(f, a, b, NULL);
}

static inline PyObject *py_call1(PyObject *f, PyObject *a) {
    if (py.PyObject_Vectorcall) {
        PyObject *args[2] = {NULL, a};
        return py.PyObject_Vectorcall(f, args + 1, 1 | PY_VECTORCALL_OFFSET, NULL);
    }
    return py.PyObject_CallFunctionObjArgs(f, a, NULL);
}

static inline PyObject *py_none(void) {
    py.Py_IncRef(py._Py_NoneStruct);
    return py._Py_NoneStruct;
}

/* Tells whether type(o) is exactly t: by the API alone, since the layout of an
 * object's head differs in free-threaded builds. */
static inline int py_is(PyObject *o, PyObject *t) {
    PyObject *type = py.PyObject_Type(o);
    py.Py_DecRef(type);
    return type == t;
}

/* Tells whether o is an instance of t or of a subclass. */
static inline int py_isa(PyObject *o, PyObject *t) {
    PyObject *type = py.PyObject_Type(o);
    int is = type == t || py.PyType_IsSubtype(type, t);
    py.Py_DecRef(type);
    return is;
}

#endif
