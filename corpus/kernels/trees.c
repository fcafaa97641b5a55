/* Binary trees built and dropped: the C library's allocator, compiled like the rest. */
#include <stdio.h>
#include <stdlib.h>

struct node {
    struct node *left, *right;
};

static struct node *build(int depth) {
    struct node *n = malloc(sizeof *n);
    if (!n) exit(1);
    n->left = depth > 0 ? build(depth - 1) : NULL;
    n->right = depth > 0 ? build(depth - 1) : NULL;
    return n;
}

static long count(const struct node *n) {
    return n->left ? 1 + count(n->left) + count(n->right) : 1;
}

static void drop(struct node *n) {
    if (n->left) {
        drop(n->left);
        drop(n->right);
    }
    free(n);
}

int main(void) {
    const int least = 4, most = 17;
    struct node *lasting = build(most);
    for (int depth = least; depth <= most; depth += 2) {
        long check = 0, trees = 1L << (most - depth + least);
        for (long i = 0; i < trees; i++) {
            struct node *n = build(depth);
            check += count(n);
            drop(n);
        }
        printf("%ld trees of depth %d, %ld nodes\n", trees, depth, check);
    }
    printf("lasting tree, %ld nodes\n", count(lasting));
    drop(lasting);
    return 0;
}
