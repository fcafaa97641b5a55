;; test: regalloc
;; A loop keeps its values in registers; an edge is a parallel move.
(module (func (param i32) (result i32) (local i32 i32)
  (local.set 1 (i32.const 1))
  (loop
    (local.set 1 (local.get 2))
    (local.set 2 (i32.add (local.get 1) (local.get 0)))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (local.get 1)))
; ----
func 0:
b0():
    Args def %4=rdi
    MovImm 0x0 def %5=rax
    Jmp edge 0
    -> b1(%4, %5)
b1(%3, %0):
    Add3.32 def %2=rcx, %3=rdi, %0=rax
    Alu.32 Add -1 def %1=rdi, %3=rdi
    Test.32 %1=rdi, %1=rdi
    Jcc ne
    -> b1(%1, %2); rax <- rcx (4)
    -> b2()
b2():
    Ret %0=rax
