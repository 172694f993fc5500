/* A filter of Petrel in C: what ../../../wit/filter.wit says, as C sees it. Include it in one file, define the three functions below, and build
 *
 *   clang --target=wasm32 -mbulk-memory -O2 -nostdlib -Wl,--no-entry -o priority.wasm priority.c
 *
 * There is no libc: a plugin only computes. */
#ifndef PETREL_PLUGIN_H
#define PETREL_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that lie elsewhere: a text has no 0 at its end. */
struct petrel_text {
    const char *at;
    size_t size;
};

/* The head of a batch. */
struct petrel_batch {
    uint32_t head_size, entry_size, count, wants;
    int32_t queue_id;
    uint32_t topic_at, topic_size, argument_at, argument_size, zero;
};

/* A message's entry. Bit 1 of sys_flag: the body is compressed. One that is wanted comes decompressed if that was with zlib, LZ4 or zstd and it has 1 MiB at most. */
struct petrel_message {
    int64_t queue_offset, born_time, store_time, tags_code;
    int32_t flag, sys_flag, reconsume_times;
    uint32_t body_size, body_at, properties_at, properties_size, zero;
};

enum { PETREL_BODY = 1, PETREL_PROPERTIES = 2 };

/* To be defined by the plugin: its version; what it wants, a sum of the numbers above; why it refuses an argument, or NULL; a verdict. */
extern const char petrel_version[];
extern const uint32_t petrel_wants;
const char *petrel_refuses(struct petrel_text argument);
bool petrel_matches(const struct petrel_batch *batch, const struct petrel_message *message, struct petrel_text argument);

static inline struct petrel_text petrel_part(const struct petrel_batch *batch, uint32_t at, uint32_t size) {
    return (struct petrel_text){(const char *)batch + at, size};
}

static inline bool petrel_equal(struct petrel_text text, const char *word) {
    size_t i = 0;
    while (i < text.size && word[i] != 0 && text.at[i] == word[i]) i++;
    return i == text.size && word[i] == 0;
}

/* The value of a property; `at` is NULL if the message has none of that name. */
static inline struct petrel_text petrel_property(const struct petrel_batch *batch, const struct petrel_message *message, const char *name) {
    struct petrel_text all = petrel_part(batch, message->properties_at, message->properties_size);
    for (size_t start = 0, i = 0; i < all.size; i++) {
        if (all.at[i] == 2) start = i + 1;
        if (all.at[i] != 1 || !petrel_equal((struct petrel_text){all.at + start, i - start}, name)) continue;
        size_t end = i + 1;
        while (end < all.size && all.at[end] != 2) end++;
        return (struct petrel_text){all.at + i + 1, end - i - 1};
    }
    return (struct petrel_text){NULL, 0};
}

/* What follows is what the host calls. Each call hands in one list, which begins where the one before did. */

extern unsigned char __heap_base;
static struct { uint32_t first; const void *at; size_t size; } petrel_answer;

static inline size_t petrel_length(const char *text) {
    size_t size = 0;
    while (text[size] != 0) size++;
    return size;
}

__attribute__((export_name("cabi_realloc"))) void *petrel_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)old, (void)old_size, (void)align;
    uintptr_t at = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    size_t there = __builtin_wasm_memory_size(0) * 65536;
    if (at + size > there && __builtin_wasm_memory_grow(0, (at + size - there + 65535) / 65536) == (size_t)-1) __builtin_trap();
    return (void *)at;
}

__attribute__((export_name("petrel:plugin/filtering@1.0.0#version"))) const void *petrel_export_version(void) {
    petrel_answer.at = petrel_version, petrel_answer.size = petrel_length(petrel_version);
    return &petrel_answer.at;
}

__attribute__((export_name("petrel:plugin/filtering@1.0.0#wants"))) uint32_t petrel_export_wants(void) { return petrel_wants; }

__attribute__((export_name("petrel:plugin/filtering@1.0.0#validate"))) const void *petrel_export_validate(const char *at, size_t size) {
    const char *refusal = petrel_refuses((struct petrel_text){at, size});
    petrel_answer.first = refusal != NULL;
    petrel_answer.at = refusal, petrel_answer.size = refusal ? petrel_length(refusal) : 0;
    return &petrel_answer;
}

__attribute__((export_name("petrel:plugin/filtering@1.0.0#matches"))) uint64_t petrel_export_matches(const unsigned char *bytes, size_t size) {
    (void)size;
    const struct petrel_batch *batch = (const void *)bytes;
    struct petrel_text argument = petrel_part(batch, batch->argument_at, batch->argument_size);
    uint64_t answer = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct petrel_message *message = (const void *)(bytes + batch->head_size + (size_t)i * batch->entry_size);
        answer |= (uint64_t)petrel_matches(batch, message, argument) << i;
    }
    return answer;
}

#endif
