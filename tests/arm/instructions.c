/* A plugin of QEMU's user mode: counts executed instructions, in all and for as many functions as `top` says.
   Built by cost.sh. It declares what it uses of QEMU's plugin interface (qemu-plugin.h, version 1 and later), whose header
   Debian does not package. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;
enum { QEMU_PLUGIN_INLINE_ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_outs(const char *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

struct function {
    const char *name;
    uint64_t count;
    struct function *next;
};

static uint64_t total;
static size_t top;
static struct function *functions;

static struct function *function_named(const char *name) {
    struct function *function = functions;
    while (function && strcmp(function->name, name))
        function = function->next;
    if (!function) {
        function = malloc(sizeof *function);
        *function = (struct function){strdup(name), 0, functions};
        functions = function;
    }
    return function;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    size_t length = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &total, length);
    if (!top)
        return;
    const char *name = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
    struct function *function = function_named(name && *name ? name : "?");
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &function->count, length);
}

static void print(uint64_t count, const char *name) {
    char line[512];
    snprintf(line, sizeof line, "instructions: %14" PRIu64 " %.400s\n", count, name);
    qemu_plugin_outs(line);
}

static void ended(qemu_plugin_id_t id, void *data) {
    print(total, "in all");
    for (size_t printed = 0; printed < top; printed++) {
        struct function *most = functions;
        for (struct function *function = functions; function; function = function->next)
            if (function->count > most->count)
                most = function;
        if (!most || !most->count)
            return;
        print(most->count, most->name);
        most->count = 0;
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int count, char **arguments) {
    for (int index = 0; index < count; index++)
        if (!strncmp(arguments[index], "top=", 4))
            top = strtoul(arguments[index] + 4, NULL, 10);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
