;; test: vcode
;; Addresses take a base, an index, a scale and an offset.
(module (memory 1) (func (param i32 i32) (result i32)
  (i32.add (i32.load offset=8 (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2))))
    (local.get 1))))
; ----
func 0:
b0():
    Args def %3=rdi, def %2=rsi
    Lea.32 [reg + index*4 + 0] def %1, %3, %2
    Alu.32 Add [memory + index*1 + 8] def %0=#1, %2, %1
    Ret %0=rax
