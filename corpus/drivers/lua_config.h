/* Lua without non-local exits: an error that reaches `LUAI_THROW` ends the program. Included before
   every file of Lua; the strings' hash seed is fixed, so that table order is. */
#ifndef CORPUS_LUA_CONFIG_H
#define CORPUS_LUA_CONFIG_H

#include <stdlib.h>

#define LUAI_THROW(L, c) abort()
#define LUAI_TRY(L, c, a) { a }
#define luai_jmpbuf int
#define luai_makeseed(L) ((void)(L), 0x5eedu)

#endif
