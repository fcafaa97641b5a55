/* Runs the JavaScript module given as the first argument; `print` writes a line, imports are read
   from files, `exit` ends with a code. An exception that nobody catches is printed: exit code 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

static char *read_file(const char *name, size_t *length) {
    FILE *file = fopen(name, "rb");
    if (!file) return NULL;
    size_t room = 4096, used = 0, got;
    char *text = malloc(room + 1);
    while (text && (got = fread(text + used, 1, room - used, file)) > 0) {
        used += got;
        if (used == room) text = realloc(text, (room *= 2) + 1);
    }
    fclose(file);
    if (text) text[used] = 0;
    *length = used;
    return text;
}

static JSValue print(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self;
    for (int i = 0; i < argc; i++) {
        size_t length;
        const char *text = JS_ToCStringLen(ctx, &length, argv[i]);
        if (!text) return JS_EXCEPTION;
        if (i > 0) putchar(' ');
        fwrite(text, 1, length, stdout);
        JS_FreeCString(ctx, text);
    }
    putchar('\n');
    return JS_UNDEFINED;
}

static JSValue quit(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self;
    int32_t code = 0;
    if (argc > 0 && JS_ToInt32(ctx, &code, argv[0])) return JS_EXCEPTION;
    fflush(stdout);
    exit(code);
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *opaque) {
    (void)opaque;
    size_t length;
    char *text = read_file(name, &length);
    if (!text) {
        JS_ThrowReferenceError(ctx, "no module '%s'", name);
        return NULL;
    }
    JSValue module =
        JS_Eval(ctx, text, length, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    free(text);
    if (JS_IsException(module)) return NULL;
    JSModuleDef *definition = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module);
    return definition;
}

static int report(JSContext *ctx, JSValue error) {
    const char *text = JS_ToCString(ctx, error);
    printf("uncaught %s\n", text ? text : "?");
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, error);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: quickjs MODULE\n");
        return 2;
    }
    size_t length;
    char *text = read_file(argv[1], &length);
    if (!text) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        return 2;
    }
    JSRuntime *rt = JS_NewRuntime();
    JSContext *ctx = JS_NewContext(rt);
    JS_SetModuleLoaderFunc(rt, NULL, load, NULL);
    JSValue global = JS_GetGlobalObject(ctx);
    JS_SetPropertyStr(ctx, global, "print", JS_NewCFunction(ctx, print, "print", 1));
    JS_SetPropertyStr(ctx, global, "exit", JS_NewCFunction(ctx, quit, "exit", 1));
    JS_FreeValue(ctx, global);
    int code = 0;
    JSValue result = JS_Eval(ctx, text, length, argv[1], JS_EVAL_TYPE_MODULE);
    free(text);
    if (JS_IsException(result)) code = report(ctx, JS_GetException(ctx));
    JSContext *job;
    while (code == 0) {
        int ran = JS_ExecutePendingJob(rt, &job);
        if (ran == 0) break;
        if (ran < 0) code = report(job, JS_GetException(job));
    }
    /* A module's evaluation is a promise: a rejected one is the script's uncaught error. */
    if (code == 0 && JS_PromiseState(ctx, result) == JS_PROMISE_REJECTED)
        code = report(ctx, JS_PromiseResult(ctx, result));
    /* The end of the process frees everything. JS_FreeRuntime would check its accounts of memory,
       and aborts after one of our scripts where pointers have 32 bits. */
    return code;
}
