;; test: asm
;; A load from a memory with guards needs no check.
(module (memory 1) (func (param i32) (result i64) (i64.load offset=16 (local.get 0))))
; ----
func 0:
; 6 bytes of instructions, 0 of constants and tables, frame of 0 bytes
     wasm  offset  bytes                          instruction
     0x20       0  49 8b 44 3f 10                 mov rax, [r15+rdi+0x10]  ; traps: out of bounds memory access
     0x23       5  c3                             ret
