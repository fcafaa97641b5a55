;; test: asm
;; The smallest function that does something.
(module (func (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
; ----
func 0:
; 5 bytes of instructions, 0 of constants and tables, frame of 0 bytes
     wasm  offset  bytes                          instruction
     0x1e       0  03 fe                          add edi, esi
     0x1f       2  8b c7                          mov eax, edi
                4  c3                             ret
