/* A plugin of QEMU's user mode: counts executed instructions, in all, for as many functions as `top` says, and for as many
   blocks, which end at a branch, as `blocks` says, with their code. Built by cost.sh. It declares what it uses of QEMU's plugin interface (qemu-plugin.h, version 1 and later), whose header
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
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_outs(const char *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

struct function {
    const char *name;
    uint64_t count;
    struct function *next;
};

/* At an address; `code` in hexadecimal, `count` of instructions in all its executions. */
struct block {
    uint64_t address;
    char *code;
    uint64_t count;
    struct block *next;
};

enum { BUCKETS = 1 << 16 };

static uint64_t total;
static size_t top, top_blocks;
static struct function *functions;
static struct block *blocks[BUCKETS];

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

static struct block *block_at(struct qemu_plugin_tb *translation) {
    uint64_t address = qemu_plugin_tb_vaddr(translation);
    struct block **bucket = &blocks[address / 4 % BUCKETS], *block = *bucket;
    while (block && block->address != address)
        block = block->next;
    if (block)
        return block;
    size_t length = qemu_plugin_tb_n_insns(translation), written = 0;
    char *code = malloc(length * 8 + 1);
    for (size_t index = 0; index < length; index++) {
        const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translation, index);
        const uint8_t *bytes = qemu_plugin_insn_data(instruction);
        for (size_t byte = 0; byte < qemu_plugin_insn_size(instruction); byte++)
            written += sprintf(code + written, "%02x", bytes[byte]);
    }
    block = malloc(sizeof *block);
    *block = (struct block){address, code, 0, *bucket};
    return *bucket = block;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    size_t length = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &total, length);
    if (top_blocks)
        qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &block_at(block)->count, length);
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

static void print_block(const struct block *block) {
    char line[64];
    snprintf(line, sizeof line, "block: %14" PRIu64 " ", block->count);
    qemu_plugin_outs(line);
    qemu_plugin_outs(block->code);
    qemu_plugin_outs("\n");
}

static void print_blocks(void) {
    for (size_t printed = 0; printed < top_blocks; printed++) {
        struct block *most = NULL;
        for (size_t bucket = 0; bucket < BUCKETS; bucket++)
            for (struct block *block = blocks[bucket]; block; block = block->next)
                if (block->count > (most ? most->count : 0))
                    most = block;
        if (!most)
            return;
        print_block(most);
        most->count = 0;
    }
}

static void ended(qemu_plugin_id_t id, void *data) {
    print(total, "in all");
    print_blocks();
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
    for (int index = 0; index < count; index++) {
        sscanf(arguments[index], "top=%zu", &top);
        sscanf(arguments[index], "blocks=%zu", &top_blocks);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
