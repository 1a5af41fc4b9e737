/* Runs a classifier in ONNX Runtime, one thread: onnxruntime LIBRARY MODEL OUTPUT SIDE RUNS
   Built by cost.sh. It declares what it uses of ONNX Runtime's C interface (onnxruntime_c_api.h), whose table of functions
   only grows at its end; the wheels hold the library without the header. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct OrtStatus OrtStatus;
typedef OrtStatus *(*function)();

struct api_base {
    const function *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

/* Places in the table of version 1 and later. */
enum {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_NUM_THREADS = 24,
    CREATE_TENSOR_WITH_DATA = 49,
    GET_TENSOR_MUTABLE_DATA = 51,
    CREATE_CPU_MEMORY_INFO = 69,
};
enum { VERSION = 1, LEVEL_WARNING = 2, TYPE_FLOAT = 1, ARENA_ALLOCATOR = 1, MEMORY_DEFAULT = 0 };

static const function *api;

static void check(OrtStatus *status) {
    if (!status)
        return;
    fprintf(stderr, "onnxruntime: %s\n", ((const char *(*)(OrtStatus *))api[GET_ERROR_MESSAGE])(status));
    exit(1);
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "onnxruntime LIBRARY MODEL OUTPUT SIDE RUNS\n");
        return 2;
    }
    void *library = dlopen(arguments[1], RTLD_NOW);
    if (!library) {
        fprintf(stderr, "onnxruntime: %s\n", dlerror());
        return 1;
    }
    const struct api_base *(*get_base)(void) = (const struct api_base *(*)(void))dlsym(library, "OrtGetApiBase");
    api = get_base()->get_api(VERSION);

    void *environment, *options, *session, *memory, *image;
    check(api[CREATE_ENV](LEVEL_WARNING, "graphtag", &environment));
    check(api[CREATE_SESSION_OPTIONS](&options));
    check(api[SET_INTRA_OP_NUM_THREADS](options, 1));
    check(api[CREATE_SESSION](environment, arguments[2], options, &session));

    int64_t side = atol(arguments[4]), shape[] = {1, 3, side, side};
    size_t values = 3 * side * side;
    float *pixels = malloc(values * sizeof *pixels);
    for (size_t index = 0; index < values; index++)
        pixels[index] = (float)((index * 73 + index / 97 * 31) % 256) / 64 - 2;
    check(api[CREATE_CPU_MEMORY_INFO](ARENA_ALLOCATOR, MEMORY_DEFAULT, &memory));
    check(api[CREATE_TENSOR_WITH_DATA](memory, pixels, values * sizeof *pixels, shape, (size_t)4, TYPE_FLOAT, &image));

    const char *input = "image", *output = arguments[3];
    float *outputs = NULL;
    for (long run = atol(arguments[5]); run > 0; run--) {
        void *result = NULL;
        check(api[RUN](session, NULL, &input, (const void *const *)&image, (size_t)1, &output, (size_t)1, &result));
        check(api[GET_TENSOR_MUTABLE_DATA](result, &outputs));
    }
    printf("ONNX Runtime %s: the first output is %g\n", get_base()->get_version(), outputs ? outputs[0] : 0);
    return 0;
}
