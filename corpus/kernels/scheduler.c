/* A small operating system's tasks passing packets: linked lists, calls through function pointers,
   branches on state. The kind of pointer chasing that object-oriented programs do. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct packet {
    struct packet *next;
    int kind, value;
    uint8_t data[8];
};

struct task;
typedef struct task *(*step)(struct task *, struct packet *);

struct task {
    struct task *next;
    struct packet *inbox;
    step run;
    int id, priority, held, waiting;
    int64_t state, done;
};

#define TASKS 6
static struct task tasks[TASKS];
static struct task *ready;
static int64_t queued, held;

static void append(struct packet **list, struct packet *p) {
    p->next = NULL;
    while (*list) list = &(*list)->next;
    *list = p;
}

static struct task *post(struct task *from, int to, struct packet *p) {
    struct task *t = &tasks[to];
    queued++;
    int empty = t->inbox == NULL;
    p->value = from->id;
    append(&t->inbox, p);
    if (empty) {
        t->waiting = 0;
        if (t->priority > from->priority) return t;
    }
    return from;
}

static struct task *wait(struct task *t) {
    t->waiting = 1;
    return t->next;
}

static struct task *idle(struct task *t, struct packet *p) {
    (void)p;
    if (--t->state == 0) {
        t->held = 1;
        return NULL;
    }
    held++;
    int to = t->done & 1 ? 3 : 4;
    t->done = (t->done >> 1) ^ ((t->done & 1) ? 0xd008 : 0);
    tasks[to].held = 0;
    return &tasks[to];
}

static struct task *worker(struct task *t, struct packet *p) {
    if (!p) return wait(t);
    t->state = 1 - t->state;
    for (int i = 0; i < 8; i++) {
        t->done = t->done % 26 + 1;
        p->data[i] = (uint8_t)('A' + t->done - 1);
    }
    p->kind = 1 + (int)t->state;
    return post(t, 2, p);
}

static struct task *dispatcher(struct task *t, struct packet *p) {
    if (!p) return wait(t);
    int sum = 0;
    for (int i = 0; i < 8; i++) sum += p->data[i];
    t->done += sum;
    return post(t, p->kind == 1 ? 3 : 4, p);
}

static struct task *device(struct task *t, struct packet *p) {
    if (!p) return wait(t);
    t->done++;
    held++;
    if (t->done % 3 == 0) {
        t->held = 1;
        append(&t->inbox, p);
        return t->next;
    }
    return post(t, 1, p);
}

static void make(int id, int priority, step run, int64_t state) {
    struct task *t = &tasks[id];
    t->id = id;
    t->priority = priority;
    t->run = run;
    t->state = state;
    t->done = 1;
    t->next = ready;
    ready = t;
}

static void schedule(void) {
    struct task *t = ready;
    while (t) {
        if (t->held || (t->waiting && !t->inbox)) {
            t = t->next;
            continue;
        }
        struct packet *p = t->inbox;
        if (p) {
            t->inbox = p->next;
            p->next = NULL;
        }
        t->waiting = 0;
        t = t->run(t, p);
    }
}

int main(void) {
    make(0, 0, idle, 6000000);
    make(1, 1000, worker, 0);
    make(2, 2000, dispatcher, 0);
    make(3, 4000, device, 0);
    make(4, 5000, device, 0);
    for (int i = 0; i < 12; i++) {
        struct packet *p = calloc(1, sizeof *p);
        if (!p) return 1;
        append(&tasks[i % 2 + 1].inbox, p);
        p->kind = 1 + i % 2;
    }
    schedule();
    printf("queued %lld, held %lld, dispatched %lld\n", (long long)queued, (long long)held,
           (long long)tasks[2].done);
    return 0;
}
