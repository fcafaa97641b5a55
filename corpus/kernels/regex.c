/* A backtracking matcher for a small pattern language, run over generated text: recursion,
   character tests, early exits. */
#include <stdio.h>
#include <string.h>

/* Patterns: literals, '.', '^', '$', [class], each maybe followed by *, + or ?. */
static const char *skip(const char *p) {
    if (*p == '[') {
        while (*p != ']') p++;
    }
    return p + 1;
}

static int one(const char *p, int c) {
    if (c == 0) return 0;
    if (*p == '.') return c != '\n';
    if (*p != '[') return *p == c;
    int negate = p[1] == '^', hit = 0;
    for (p += 1 + negate; *p != ']'; p++) {
        if (p[1] == '-' && p[2] != ']') {
            hit |= p[0] <= c && c <= p[2];
            p += 2;
        } else {
            hit |= *p == c;
        }
    }
    return hit != negate;
}

static const char *here(const char *p, const char *s) {
    for (;;) {
        if (*p == 0) return s;
        if (*p == '$' && p[1] == 0) return *s == 0 || *s == '\n' ? s : NULL;
        const char *rest = skip(p);
        if (*rest == '*' || *rest == '+') {
            const char *t = s;
            while (one(p, (unsigned char)*t)) t++;
            const char *least = s + (*rest == '+');
            for (; t >= least; t--) {
                const char *end = here(rest + 1, t);
                if (end) return end;
            }
            return NULL;
        }
        if (*rest == '?') {
            if (one(p, (unsigned char)*s)) {
                const char *end = here(rest + 1, s + 1);
                if (end) return end;
            }
            p = rest + 1;
            continue;
        }
        if (!one(p, (unsigned char)*s)) return NULL;
        s++;
        p = rest;
    }
}

static char text[400001];

int main(void) {
    static const char *words[] = {"alpha", "beta42", "x@example.org", "gamma-ray", "0xdeadbeef",
                                  "12.5",  "aaaaab", "http://a.b/c",  "delta\n",   "Zeta"};
    static const char *patterns[] = {"[a-z]+@[a-z]+.org", "0x[0-9a-f]+ ", "[0-9]+[.]?[0-9]*",
                                     "a*a*ab",            "h.*//.*/c ",   "[A-Z][a-z]+",
                                     "d[^ ]+$",           "[a-z]+-[a-z]+ [a-z]*"};
    unsigned x = 7;
    size_t n = 0;
    while (n + 16 < sizeof text) {
        x = x * 1664525u + 1013904223u;
        const char *word = words[(x >> 16) % 10];
        size_t length = strlen(word);
        memcpy(text + n, word, length);
        n += length;
        text[n++] = ' ';
    }
    text[n] = 0;
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        long matches = 0, length = 0;
        for (int round = 0; round < 6; round++) {
            for (const char *s = text; *s; s++) {
                const char *end = here(patterns[k], s);
                if (end) {
                    matches++;
                    length += end - s;
                    if (end > s) s = end - 1;
                }
            }
        }
        printf("%-24s %ld matches, %ld characters\n", patterns[k], matches, length);
    }
    return 0;
}
