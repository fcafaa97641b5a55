/* An open-addressing hash table of 64-bit keys: multiplies, masks, dependent loads that miss. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {
    uint64_t key, value;
};

struct map {
    struct entry *slots;
    size_t mask, used;
};

static size_t hash(uint64_t key) { return (size_t)(key * 0x9e3779b97f4a7c15ull >> 32); }

static struct entry *find(struct map *m, uint64_t key) {
    size_t i = hash(key) & m->mask;
    while (m->slots[i].key != 0 && m->slots[i].key != key) i = (i + 1) & m->mask;
    return &m->slots[i];
}

static void grow(struct map *m) {
    struct map bigger = {calloc((m->mask + 1) * 2, sizeof(struct entry)), m->mask * 2 + 1, m->used};
    if (!bigger.slots) exit(1);
    for (size_t i = 0; i <= m->mask; i++)
        if (m->slots[i].key != 0) *find(&bigger, m->slots[i].key) = m->slots[i];
    free(m->slots);
    *m = bigger;
}

static void add(struct map *m, uint64_t key, uint64_t value) {
    struct entry *e = find(m, key);
    if (e->key == 0) {
        e->key = key;
        if (++m->used * 4 > m->mask * 3) {
            grow(m);
            e = find(m, key);
        }
    }
    e->value += value;
}

int main(void) {
    struct map m = {calloc(16, sizeof(struct entry)), 15, 0};
    if (!m.slots) return 1;
    uint64_t state = 88172645463325252ull;
    for (int i = 0; i < 6000000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        add(&m, state % 1000003 + 1, state & 0xff);
    }
    uint64_t total = 0, mixed = 0;
    for (uint64_t key = 1; key <= 1000003; key++) {
        struct entry *e = find(&m, key);
        total += e->value;
        mixed = mixed * 31 + e->value;
    }
    printf("%zu keys, total %llu, checksum %016llx\n", m.used, (unsigned long long)total,
           (unsigned long long)mixed);
    free(m.slots);
    return 0;
}
