;; test: regalloc
;; What lives across a call stays in a callee-saved register.
(module (func $f (param i32) (result i32) (local.get 0))
  (func (param i32 i32) (result i32)
    (i32.add (local.get 1) (call $f (local.get 0)))))
; ----
func 0:
b0():
    Args def %0=rdi
    rax <- rdi (4)
    Ret %0=rax
func 1:
b0():
    Args def %3=rdi, def %2=rsi
    rbx <- rsi (4)
    Call function 0 def %1=rax, %3=rdi clobbers {rcx, rdx, rsi, rdi, r8, r9, r10, xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14}
    Alu.32 Add def %0=rbx, %2=rbx, %1=rax
    rax <- rbx (4)
    Ret %0=rax
