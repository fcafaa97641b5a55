;; test: vcode
;; A comparison that only steers a branch needs no register.
(module (func (param i32 i32) (result i32)
  (if (result i32) (i32.lt_s (local.get 0) (local.get 1))
    (then (local.get 0)) (else (local.get 1)))))
; ----
func 0:
b0():
    Args def %2=rdi, def %1=rsi
    Cmp.32 %2, %1*
    Jcc l
    -> b1()
    -> b2()
b1():
    Jmp edge 0
    -> b3(%2)
b2():
    Jmp edge 0
    -> b3(%1)
b3(%0):
    Ret %0=rax
