;; test: asm
;; A load from a memory without guards.
;; guards: off
(module (memory 1) (func (param i32) (result i64) (i64.load offset=16 (local.get 0))))
; ----
func 0:
; 22 bytes of instructions, 0 of constants and tables, frame of 0 bytes
     wasm  offset  bytes                          instruction
     0x20       0  49 8b 46 48                    mov rax, [r14+0x48]
                4  48 8d 4f 18                    lea rcx, [rdi+0x18]
                8  48 3b 48 08                    cmp rcx, [rax+8]
                c  77 06                          ja 0x14
                e  49 8b 44 3f 10                 mov rax, [r15+rdi+0x10]  ; traps: out of bounds memory access
     0x23      13  c3                             ret
     0x20      14  0f 0b                          ud2  ; traps: out of bounds memory access
