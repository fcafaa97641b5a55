/* A bytecode interpreter with a switch in a loop, running a program that sieves and one that
   multiplies: an indirect jump per operation, its state in locals. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, LESS, JUMP, JUMPZ, FETCH, PUT, MOD, XOR, HALT };

static int32_t memory[65536];

static int32_t run(const int32_t *code) {
    int32_t stack[64], locals[16] = {0};
    int sp = 0;
    for (const int32_t *pc = code;;) {
        switch (*pc++) {
        case PUSH: stack[sp++] = *pc++; break;
        case LOAD: stack[sp++] = locals[*pc++]; break;
        case STORE: locals[*pc++] = stack[--sp]; break;
        case ADD: sp--; stack[sp - 1] = (int32_t)((uint32_t)stack[sp - 1] + (uint32_t)stack[sp]); break;
        case SUB: sp--; stack[sp - 1] = (int32_t)((uint32_t)stack[sp - 1] - (uint32_t)stack[sp]); break;
        case MUL: sp--; stack[sp - 1] = (int32_t)((uint32_t)stack[sp - 1] * (uint32_t)stack[sp]); break;
        case LESS: sp--; stack[sp - 1] = stack[sp - 1] < stack[sp]; break;
        case JUMP: pc = code + *pc; break;
        case JUMPZ: pc = stack[--sp] ? pc + 1 : code + *pc; break;
        case FETCH: stack[sp - 1] = memory[stack[sp - 1] & 65535]; break;
        case PUT: sp -= 2; memory[stack[sp] & 65535] = stack[sp + 1]; break;
        case MOD: sp--; stack[sp - 1] = (int32_t)((uint32_t)stack[sp - 1] % (uint32_t)stack[sp]); break;
        case XOR: sp--; stack[sp - 1] ^= stack[sp]; break;
        case HALT: return stack[sp - 1];
        }
    }
}

/* locals: 0 = i, 1 = j, 2 = primes */
static const int32_t sieve[] = {
    /* 0 */ PUSH, 2, STORE, 0, PUSH, 0, STORE, 2,
    /* 8 */ LOAD, 0, PUSH, 65536, LESS, JUMPZ, 60,
    /* 15 */ LOAD, 0, FETCH, JUMPZ, 22, JUMP, 51,
    /* 22 */ LOAD, 2, PUSH, 1, ADD, STORE, 2, LOAD, 0, LOAD, 0, ADD, STORE, 1,
    /* 36 */ LOAD, 1, PUSH, 65536, LESS, JUMPZ, 51,
    /* 43 */ LOAD, 1, PUSH, 1, PUT, JUMP, 63, HALT,
    /* 51 */ LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 8,
    /* 60 */ LOAD, 2, HALT,
    /* 63 */ LOAD, 1, LOAD, 0, ADD, STORE, 1, JUMP, 36,
};

/* locals: 0 = i, 1 = hash */
static const int32_t mixer[] = {
    /* 0 */ PUSH, 0, STORE, 0, PUSH, 17, STORE, 1,
    /* 8 */ LOAD, 0, PUSH, 6000000, LESS, JUMPZ, 34,
    /* 15 */ LOAD, 1, PUSH, 31, MUL, LOAD, 0, XOR, STORE, 1,
    /* 25 */ LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 8,
    /* 34 */ LOAD, 1, HALT,
};

int main(void) {
    int32_t primes = 0;
    for (int round = 0; round < 12; round++) {
        memset(memory, 0, sizeof memory);
        primes = run(sieve);
    }
    printf("%d primes\n", (int)primes);
    printf("mixed %08x\n", (unsigned)run(mixer));
    return 0;
}
